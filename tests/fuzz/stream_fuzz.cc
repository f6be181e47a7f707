// Hostile bytes as a stream: values or an error, never more, whether its checksums were made right
// or not. What is decoded frame by frame is what is decoded whole.
#include "tests/codec/golden_kv.h"
#include "tests/fuzz/fuzz_target.h"

namespace spolia::codec {
namespace {

constexpr uint64_t kMaxValues = 1 << 18;

// Header and frames get the checksums they should have, so that damage reaches what lies behind.
void fixChecksums(Bytes& stream) {
  const Result<uint32_t> length = headerLength(stream);
  if (!length.ok() || *length > stream.size()) return;
  const auto fixHeader = [&] {
    const ByteSpan header = ByteSpan(stream).first(*length);
    const uint64_t sum = xxh3(header.subspan(kHeaderPrefixBytes), xxh3(header.first(24)));
    std::memcpy(stream.data() + 24, &sum, sizeof sum);
  };
  fixHeader();
  const Result<StreamHeader> header = parseHeader(stream);
  if (!header.ok() || !header->sideSections.empty()) return;
  const size_t table = *length - 1 - header->frames.size() * 8;
  for (uint32_t i = 0; i < header->frames.size(); ++i) {
    const FrameEntry& f = header->frames[i];
    if (f.offset + f.size > stream.size()) return;
    const uint64_t sum =
        xxh3(ByteSpan(stream).subspan(f.offset, f.size), partSeed(header->chunkId, i));
    std::memcpy(stream.data() + table + i * 8, &sum, sizeof sum);
  }
  fixHeader();
}

uint64_t valuesOf(const StreamHeader& header) {
  // The target has room for the largest head count and dimension of any layer.
  uint64_t heads = 0;
  uint64_t dim = 0;
  for (const LayerShape& shape : header.layers) {
    heads = std::max<uint64_t>(heads, shape.kvHeads);
    dim = std::max<uint64_t>(dim, shape.headDim);
  }
  return 2 * header.layers.size() * header.tokens() * heads * dim;
}

void decodeAnything(ByteSpan stream) {
  verifyStream(stream).status().ignore();  // an error is as good as a header
  const Result<StreamHeader> header = parseHeader(stream);
  if (!header.ok() || valuesOf(*header) > kMaxValues) return;
  FUZZ_CHECK(chunkIdOf(header->identity) == header->chunkId);
  for (ElementType type : {header->elementType, ElementType::kF32, ElementType::kF16}) {
    GoldenKv whole(header->layers, header->tokens(), type);
    const Status status = decodeStream(stream, *header, {}, whole.target());
    if (!status.ok()) continue;
    GoldenKv frames(header->layers, header->tokens(), type);
    for (uint32_t i = 0; i < header->frames.size(); ++i) {
      const FrameEntry& f = header->frames[i];
      FUZZ_CHECK(
          decodeFrame(*header, {i, stream.subspan(f.offset, f.size)}, {}, frames.target()).ok());
    }
    // What is added level by level is rounded at each.
    FUZZ_CHECK(header->levels > 1 || whole.dense() == frames.dense());
  }
}

}  // namespace
}  // namespace spolia::codec

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const spolia::ByteSpan bytes(reinterpret_cast<const std::byte*>(data), size);
  spolia::codec::decodeAnything(bytes);
  spolia::Bytes fixed = spolia::toBytes(bytes);
  spolia::codec::fixChecksums(fixed);
  spolia::codec::decodeAnything(fixed);
  return 0;
}
