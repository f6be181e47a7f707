// Hostile profiles: an error, or one that streams can be made and decoded with. The input is a
// profile's contents, or the damage to a sound one; the checksum is made right.
#include "tests/codec/lossy/made_up_profile.h"
#include "tests/codec/lossy/profile_use.h"
#include "tests/fuzz/fuzz_target.h"

namespace spolia::codec {
namespace {

std::vector<Bytes> makeSamples() {
  std::vector<Bytes> out;
  for (uint32_t seed = 0; seed < 6; ++seed) {
    ProfileRecipe recipe;
    recipe.layers =
        seed % 2 == 0 ? std::vector<LayerShape>{{2, 5}} : std::vector<LayerShape>{{1, 8}, {3, 4}};
    recipe.cut = kAllCuts[seed % std::size(kAllCuts)];
    recipe.codeRank = seed == 3 ? 0 : 3;
    recipe.mixed = seed > 2;
    recipe.ownTables = seed == 5;
    recipe.seed = seed;
    out.push_back(writeProfile(madeUpProfileData(recipe)));
  }
  return out;
}

void parseAndUse(Bytes& bytes, uint32_t seed) {
  sealProfile(bytes);
  const auto profile = Profile::parse(bytes);
  if (!profile.ok()) return;
  const auto again = Profile::parse(writeProfile((*profile)->data()));
  FUZZ_CHECK(again.ok() && (*again)->data() == (*profile)->data());
  std::mt19937 random(seed);
  FUZZ_CHECK(useProfile(**profile, random));
}

void damaged(fuzz::Choices& in) {
  static const std::vector<Bytes> kSamples = makeSamples();
  Bytes bytes = kSamples[in.any() % kSamples.size()];
  const uint32_t seed = in.any();
  // Mostly in front of the symbol tables, which are long and alike.
  for (uint32_t n = in.upTo(5); n > 0; --n) {
    const size_t at = in.any<uint16_t>() % (seed % 4 == 0 ? bytes.size() : 1200);
    if (at < bytes.size()) bytes[at] = static_cast<std::byte>(in.any());
  }
  parseAndUse(bytes, seed);
}

void asItIs(fuzz::Choices& in) {
  static const Bytes kSample = makeSamples().front();
  Bytes bytes(kSample.begin(), kSample.begin() + kProfilePrefixBytes);
  const ByteSpan rest = in.rest();
  bytes.insert(bytes.end(), rest.begin(), rest.end());
  parseAndUse(bytes, static_cast<uint32_t>(rest.size()));
}

}  // namespace
}  // namespace spolia::codec

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  spolia::fuzz::Choices in(data, size);
  in.any() % 4 == 0 ? spolia::codec::asItIs(in) : spolia::codec::damaged(in);
  return 0;
}
