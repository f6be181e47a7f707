// Stream headers and their frame tables alone, behind a right checksum: what is accepted keeps its
// limits and is written back to the same bytes.
#include "codec/base/checksum.h"
#include "codec/stream_header.h"
#include "tests/fuzz/fuzz_target.h"

namespace spolia::codec {
namespace {

void checkAccepted(StreamHeader header, ByteSpan bytes) {
  FUZZ_CHECK(!header.layers.empty() && header.layers.size() <= kMaxLayers);
  FUZZ_CHECK(header.tokens() >= 1 && header.tokens() <= kMaxChunkTokens);
  FUZZ_CHECK(header.levels >= 1 && header.levels <= kMaxLevels);
  uint64_t end = header.headerBytes;
  for (const FrameEntry& frame : header.frames) {
    FUZZ_CHECK(frame.offset == end);
    end += frame.size;
  }
  for (const SideSection& section : header.sideSections) {
    FUZZ_CHECK(section.offset == end);
    end += section.size;
  }
  FUZZ_CHECK(end == header.streamBytes);
  FUZZ_CHECK(coveringFrames(header, {}).size() == header.frames.size());
  const Result<Bytes> again = writeHeader(header);
  // Runs of equal layers may have been split by another writer; nothing else has two forms.
  if (again.ok() && again->size() == bytes.size()) {
    FUZZ_CHECK(parseHeader(*again).ok());
  }
}

void readHeader(Bytes bytes) {
  if (bytes.size() <= kHeaderPrefixBytes) return;
  // The header is all there is.
  const auto length = static_cast<uint32_t>(bytes.size());
  std::memcpy(bytes.data() + 12, &length, sizeof length);
  const auto seal = [&] {
    const ByteSpan header(bytes);
    const uint64_t sum = xxh3(header.subspan(kHeaderPrefixBytes), xxh3(header.first(24)));
    std::memcpy(bytes.data() + 24, &sum, sizeof sum);
  };
  // With the stream length it names, and as a stream without frames.
  for (uint64_t streamBytes : {uint64_t{0}, uint64_t{length}}) {
    if (streamBytes != 0) std::memcpy(bytes.data() + 16, &streamBytes, sizeof streamBytes);
    seal();
    const Result<StreamHeader> header = parseHeader(bytes);
    if (header.ok()) checkAccepted(*header, bytes);
  }
}

}  // namespace
}  // namespace spolia::codec

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace spolia;
  const ByteSpan bytes(reinterpret_cast<const std::byte*>(data), size);
  const Result<uint32_t> length = codec::headerLength(bytes);
  codec::readHeader(toBytes(bytes));
  if (length.ok() && *length <= size) codec::readHeader(toBytes(bytes.first(*length)));
  return 0;
}
