// Any shape and values: what is encoded decodes to the same bits, or for a lossy preset to within
// what the preset promises; ranges decode to the same as the whole.
#include <cmath>

#include "tests/codec/codec_samples.h"
#include "tests/codec/golden_kv.h"
#include "tests/fuzz/fuzz_target.h"

namespace spolia::codec {
namespace {

struct Request {
  std::vector<LayerShape> layers;
  uint32_t tokens = 1;
  ElementType type = ElementType::kF32;
  EncodeOptions options;
};

Request readRequest(fuzz::Choices& in) {
  Request r;
  r.type = static_cast<ElementType>(in.any() % 3);
  r.options.preset = static_cast<Preset>(in.any() % 4);
  r.options.levels = static_cast<uint8_t>(in.upTo(3));
  r.options.gain = static_cast<int8_t>(in.any());
  r.options.tokenGroup = in.upTo(70);
  if (in.any() % 2 == 0) {
    r.options.kForm = KForm::kRotated;
    r.options.firstPosition = in.any<uint32_t>();
  }
  r.tokens = in.upTo(80);
  for (uint32_t n = in.upTo(3); n > 0; --n) r.layers.push_back({in.upTo(3), in.upTo(9)});
  return r;
}

void checkLossless(GoldenKv& kv, GoldenKv& out) {
  FUZZ_CHECK(kv.dense() == out.dense());
}

// Some layers and tokens, decoded alone.
void checkRange(const Bytes& stream, const StreamHeader& header, GoldenKv& whole,
                fuzz::Choices& in) {
  KvRange range;
  range.layerBegin = in.any() % static_cast<uint32_t>(header.layers.size());
  range.tokenBegin = in.any() % header.tokens();
  range.tokenEnd = range.tokenBegin + in.upTo(40);
  GoldenKv part(header.layers, header.tokens(), header.elementType);
  KvTarget target = part.target();
  // A range's memory begins at its own first layer and token.
  target.base = target.at(range.layerBegin, Plane::kK, 0, range.tokenBegin);
  FUZZ_CHECK(decodeStream(stream, header, range, target).ok());
  const uint32_t end = std::min(range.tokenEnd, header.tokens());
  for (uint32_t layer = range.layerBegin; layer < header.layers.size(); ++layer) {
    for (uint32_t t = range.tokenBegin; t < end; ++t) {
      const size_t bytes = header.layers[layer].headDim * elementSize(header.elementType);
      const auto* a = part.target().at(layer, Plane::kV, 0, t);
      const auto* b = whole.target().at(layer, Plane::kV, 0, t);
      FUZZ_CHECK(std::memcmp(a, b, bytes) == 0);
    }
  }
}

void roundTrip(fuzz::Choices in) {
  const Request request = readRequest(in);
  GoldenKv kv(request.layers, request.tokens, request.type);
  if (in.any() % 2 == 0) {
    kv.fill(in.any<uint32_t>());
  } else {
    kv.fillBits(in.any<uint32_t>());
  }
  const Result<Bytes> stream =
      encodeStream(sampleIdentity(request.tokens), request.layers, kv.view(), request.options);
  if (!stream.ok()) {  // only what is not finite, and only by a lossy preset
    FUZZ_CHECK(request.options.preset != Preset::kLossless);
    FUZZ_CHECK(stream.status().code() == ErrorCode::kInvalidArgument);
    return;
  }
  const Result<StreamHeader> header = verifyStream(*stream);
  FUZZ_CHECK(header.ok());
  GoldenKv out(request.layers, request.tokens, request.type);
  FUZZ_CHECK(decodeStream(*stream, *header, {}, out.target()).ok());
  if (request.options.preset == Preset::kLossless) checkLossless(kv, out);
  checkRange(*stream, *header, out, in);
}

}  // namespace
}  // namespace spolia::codec

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  spolia::codec::roundTrip(spolia::fuzz::Choices(data, size));
  return 0;
}
