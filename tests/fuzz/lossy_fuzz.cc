// `balanced` and `small` with a profile that is sound: any stream gives finite values or an error,
// and whatever is encoded comes back. The input says what to do: to damage a stream, to put frames
// together, to encode.
#include <array>

#include "tests/codec/lossy/fitting_kv.h"
#include "tests/codec/lossy/profile_use.h"
#include "tests/codec/seal_stream.h"
#include "tests/fuzz/fuzz_target.h"

namespace spolia::codec {
namespace {

constexpr uint32_t kTokens = 11;
const std::vector<LayerShape> kLayers{{2, 5}, {1, 8}};

LossySample makeSample(uint32_t seed) {
  ProfileRecipe recipe;
  recipe.layers = kLayers;
  recipe.cut = kAllCuts[seed % std::size(kAllCuts)];
  recipe.derived = seed >= 5;
  recipe.mixed = seed % 2 == 1;
  recipe.ownTables = seed % 3 == 1;
  recipe.seed = seed;
  return LossySample(recipe, seed == 4 ? madeUpImage(kTokens) : madeUpIdentity(kTokens, seed),
                     ElementType::kF32, seed);
}

struct Samples {
  std::vector<LossySample> all;
  std::vector<Bytes> streams;

  Samples() {
    for (uint32_t seed = 0; seed < 8; ++seed) {
      all.push_back(makeSample(seed));
      const auto levels = static_cast<uint8_t>(1 + seed % 3);
      streams.push_back(all.back().encoded(all.back().options(levels, seed % 2 == 0 ? 4 : 64)));
    }
  }
};
const Samples& samples() {
  static const Samples made;
  return made;
}

bool isSmall(const StreamHeader& header) {
  return header.layers == kLayers && header.tokens() <= 200;
}

// What is decoded whole is finite, and its frames decode one after another.
void decodeAnything(ByteSpan stream, const Profile& profile) {
  const Result<StreamHeader> header = parseHeader(stream);
  if (!header.ok() || !isSmall(*header) || header->preset < Preset::kBalanced) return;
  for (ElementType type : {ElementType::kF32, ElementType::kF16}) {
    GoldenKv whole(header->layers, header->tokens(), type);
    const Status status = decodeStream(stream, *header, {}, whole.target(), &profile);
    if (!status.ok()) continue;
    FUZZ_CHECK(allFinite(whole, type));
    GoldenKv part(header->layers, header->tokens(), type);
    for (uint32_t i = 0; i < header->frames.size(); ++i) {
      const FrameEntry& f = header->frames[i];
      const FrameBytes frame{i, stream.subspan(f.offset, f.size)};
      FUZZ_CHECK(decodeFrame(*header, frame, {}, part.target(), &profile).ok());
    }
    FUZZ_CHECK(header->levels > 1 || whole.dense() == part.dense());
  }
}

void damaged(fuzz::Choices& in) {
  const size_t which = in.any() % samples().all.size();
  Bytes stream = samples().streams[which];
  for (uint32_t n = in.upTo(8); n > 0; --n) {
    const size_t at = in.any<uint16_t>() % stream.size();
    stream[at] = static_cast<std::byte>(in.any());
  }
  sealStream(stream);
  decodeAnything(stream, *samples().all[which].profile);
}

void putTogether(fuzz::Choices& in) {
  const size_t which = in.any() % samples().all.size();
  StreamHeader header = parseHeader(samples().streams[which]).value();
  header.tokenGroup = in.upTo(20);
  header.levels = static_cast<uint8_t>(in.upTo(3));
  std::vector<Bytes> frames(header.levels * header.planeGroups.size() * header.tokenGroups());
  for (Bytes& frame : frames) {
    frame.push_back(std::byte{3});
    for (uint32_t n = in.any() % 250u; n > 0 && !in.ended(); --n) {
      frame.push_back(static_cast<std::byte>(in.any()));
    }
  }
  decodeAnything(assembleStream(header, frames), *samples().all[which].profile);
}

void checkRange(const Bytes& stream, const StreamHeader& header, const Profile& profile,
                GoldenKv& whole, fuzz::Choices& in) {
  KvRange range;
  range.layerBegin = in.any() % 2u;
  range.tokenBegin = in.any() % header.tokens();
  range.tokenEnd = std::min(range.tokenBegin + in.upTo(12), header.tokens());
  GoldenKv part(header.layers, header.tokens(), header.elementType);
  KvTarget target = part.target();
  // A range's memory begins at its own first layer and token.
  target.base = target.at(range.layerBegin, Plane::kK, 0, range.tokenBegin);
  FUZZ_CHECK(decodeStream(stream, header, range, target, &profile).ok());
  for (uint32_t layer = range.layerBegin; layer < header.layers.size(); ++layer) {
    for (uint32_t t = range.tokenBegin; t < range.tokenEnd; ++t) {
      const size_t bytes = header.layers[layer].headDim * elementSize(header.elementType);
      const auto* a = part.target().at(layer, Plane::kV, 0, t);
      const auto* b = whole.target().at(layer, Plane::kV, 0, t);
      FUZZ_CHECK(std::memcmp(a, b, bytes) == 0);
    }
  }
}

// Nobody looks at a layer that is not stored, also where it is not finite.
void clearFirstLayer(GoldenKv& kv, uint32_t tokens) {
  size_t heads = size_t{2} * kLayers[0].kvHeads * tokens;
  kv.forEachHead([&](MutableByteSpan head) {
    if (heads == 0) return;
    --heads;
    std::ranges::fill(head, std::byte{0});
  });
}

void roundTrip(fuzz::Choices& in) {
  const LossySample& sample = samples().all[in.any() % samples().all.size()];
  const bool image = sample.identity.modality == Modality::kImage;
  const uint32_t tokens = image ? kTokens : in.upTo(60);
  const auto type = static_cast<ElementType>(in.any() % 3);
  EncodeOptions options = sample.options(static_cast<uint8_t>(in.upTo(3)), in.upTo(70));
  options.preset = in.any() % 2 == 0 ? Preset::kBalanced : Preset::kSmall;
  options.gain = in.any<int8_t>();
  GoldenKv kv(kLayers, tokens, type);
  const uint8_t kind = in.any();
  kind % 2 == 0 ? kv.fill(in.any<uint32_t>()) : kv.fillBits(in.any<uint32_t>());
  const ChunkIdentity identity = image ? sample.identity : madeUpIdentity(tokens, kind);
  if (sample.profile->transform(2)->data->derivedLayers() > 0) clearFirstLayer(kv, tokens);
  const Result<Bytes> stream = encodeStream(identity, kLayers, kv.view(), options);
  FUZZ_CHECK(stream.ok() == allFinite(kv, type));
  if (!stream.ok()) return;
  const Result<StreamHeader> header = verifyStream(*stream);
  FUZZ_CHECK(header.ok());
  GoldenKv out(kLayers, tokens, type);
  FUZZ_CHECK(decodeStream(*stream, *header, {}, out.target(), sample.profile.get()).ok());
  FUZZ_CHECK(allFinite(out, type));
  checkRange(*stream, *header, *sample.profile, out, in);
}

void asItIs(fuzz::Choices& in) {
  const Profile& profile = *samples().all[0].profile;
  Bytes stream = toBytes(in.rest());
  decodeAnything(stream, profile);
  sealStream(stream);
  decodeAnything(stream, profile);
}

}  // namespace
}  // namespace spolia::codec

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace spolia::codec;
  spolia::fuzz::Choices in(data, size);
  constexpr std::array kModes{damaged, putTogether, roundTrip, asItIs};
  kModes[in.any() % kModes.size()](in);
  return 0;
}
