// Streams of `balanced` and `small` for decoders to be compared on: encoded with profiles of any
// kind, or with coefficients, gains and spreads of any size, which no encoder makes.
#pragma once

#include <random>
#include <vector>

#include "codec/lossy/coefficient_coder.h"
#include "tests/codec/golden_cases.h"
#include "tests/codec/lossy/fitting_kv.h"
#include "tests/codec/lossy/made_up_profile.h"

namespace spolia::codec {

inline ProfileRecipe randomRecipe(std::mt19937_64& random) {
  constexpr uint32_t kRanks[] = {0, 1, 7, 20};
  const auto upTo = [&](uint32_t limit) { return static_cast<uint32_t>(1 + random() % limit); };
  ProfileRecipe recipe;
  recipe.layers.clear();
  for (uint32_t i = upTo(3); i > 0; --i) recipe.layers.push_back({upTo(3), upTo(9)});
  recipe.cut = kAllCuts[random() % std::size(kAllCuts)];
  recipe.history = static_cast<uint8_t>(random() % 3);
  recipe.codeRank = kRanks[random() % std::size(kRanks)];
  recipe.narrowCodes = static_cast<uint32_t>(random() % 21);
  recipe.derived = recipe.layers.size() > 1 && random() % 3 == 0;
  recipe.mixed = random() % 2 == 0;
  recipe.ownTables = random() % 2 == 0;
  recipe.step = std::exp2(-static_cast<float>(random() % 8));
  recipe.seed = static_cast<uint32_t>(random());
  return recipe;
}

// Components and shifts that are no basis of anything, up to their limits.
inline void makeWild(ProfileData& data, std::mt19937_64& random) {
  for (uint8_t& shift : data.codeShifts) shift = static_cast<uint8_t>(random() % (kMaxShift + 1));
  for (ProfileTransform& transform : data.transforms) {
    for (ProfileBlock& block : transform.blocks) {
      for (uint8_t& shift : block.shifts) shift = static_cast<uint8_t>(random() % (kMaxShift + 1));
      for (int8_t& v : block.components) v = static_cast<int8_t>(random());
    }
  }
}

inline GoldenCase randomLossyCase(const ProfileRecipe& recipe, std::mt19937_64& random) {
  GoldenCase c;
  c.profile = "made up";
  c.preset = random() % 2 == 0 ? Preset::kBalanced : Preset::kSmall;
  c.type = static_cast<ElementType>(random() % 3);
  c.layers = recipe.layers;
  c.tokens = static_cast<uint32_t>(1 + random() % 60);
  c.tokenGroup = static_cast<uint32_t>(1 + random() % 70);
  if (!recipe.derived && random() % 4 == 0) c.identity = GoldenCase::Identity::kImage;
  c.levels = static_cast<uint8_t>(1 + random() % 3);
  c.gain = static_cast<int8_t>(static_cast<int>(random() % 41) - 20);
  return c;
}

// The coefficients of a frame, most of them small; of further levels -1 to 1.
inline std::vector<int16_t> anyCoefficients(size_t count, bool whole, std::mt19937_64& random) {
  std::vector<int16_t> out(count);
  for (int16_t& v : out) {
    const int reach = !whole || random() % 2 == 0 ? 1 : random() % 4 == 0 ? kMaxCoefficient : 20;
    v = static_cast<int16_t>(static_cast<int>(random() % (2 * reach + 1)) - reach);
  }
  return out;
}

// A frame for these blocks. The spreads are those of the frame's place in all levels.
inline Bytes anyFrame(const ProfileTransform& transform, std::span<const ProfileBlock> blocks,
                      uint32_t tokens, int levelsBelow, bool whole, int8_t gain,
                      std::mt19937_64& random) {
  const PreparedTables tables(transform.tables);
  ByteWriter out;
  out.u8(3);
  out.write(gain);
  std::vector<uint32_t> classes;
  for (const ProfileBlock& block : blocks) {
    const auto spread = static_cast<int8_t>(block.begin % 100);
    out.write(spread);
    for (uint8_t c : block.classes) {
      classes.push_back(shiftedClass(c, spread - gain - kSplitClasses * levelsBelow));
    }
  }
  std::vector<int16_t> values =
      anyCoefficients(classes.size() * tokens * kPackComponents, whole, random);
  std::vector<CoefficientGroup> groups;
  for (size_t g = 0; g < classes.size(); ++g) {
    groups.push_back({values.data() + g * tokens * kPackComponents, kPackComponents, classes[g]});
  }
  CoefficientScratch scratch;
  writeCoefficients(groups, tokens, whole ? CoefficientPart::kWhole : CoefficientPart::kFine,
                    tables, scratch, out);
  return out.take();
}

// The stream with other frames: each place of any gain.
inline Bytes withAnyFrames(const StreamHeader& header, const ProfileData& data,
                           std::mt19937_64& random) {
  const ProfileTransform& transform = data.transforms[header.preset == Preset::kBalanced ? 0 : 1];
  std::vector<uint32_t> firstOf{0};  // channel of each plane
  for (const LayerShape& shape : header.layers) {
    for (int plane = 0; plane < 2; ++plane) firstOf.push_back(firstOf.back() + shape.channels());
  }
  const size_t places = header.frames.size() / header.levels;
  std::vector<int8_t> gains(places);
  for (int8_t& gain : gains) gain = static_cast<int8_t>(static_cast<int>(random() % 120) - 80);
  std::vector<Bytes> frames;
  for (uint32_t i = 0; i < header.frames.size(); ++i) {
    const FramePlace place = placeOf(header, i);
    const auto& group = header.planeGroups[place.group];
    const auto plane = [](const PlaneRef& ref) {
      return 2 * ref.layer + static_cast<uint32_t>(ref.plane);
    };
    const uint32_t begin = firstOf[plane(group.front())];
    const uint32_t end = firstOf[plane(group.back()) + 1];
    std::vector<ProfileBlock> blocks;
    for (const ProfileBlock& b : transform.blocks) {
      if (b.begin >= begin && b.end <= end) blocks.push_back(b);
    }
    frames.push_back(anyFrame(transform, blocks, place.tokenEnd - place.tokenBegin,
                              static_cast<int>(header.levels - 1 - place.level), place.level == 0,
                              gains[i % places], random));
  }
  return assembleStream(header, frames);
}

}  // namespace spolia::codec
