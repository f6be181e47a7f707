// The golden profiles, and what the golden streams of `balanced` and `small` hold.
#pragma once

#include <string>
#include <vector>

#include "tests/codec/golden_cases.h"
#include "tests/codec/lossy/made_up_profile.h"

namespace spolia::codec {

struct GoldenProfile {
  std::string name;
  ProfileRecipe recipe;
};

// A block for each plane, with wide and narrow codes; one block, with narrow codes and tables of
// its own; a block for each head, some without components, and nothing to predict from; one without
// the first layer.
inline std::vector<GoldenProfile> goldenProfiles() {
  ProfileRecipe planes;
  planes.layers = {{2, 8}, {1, 8}};
  ProfileRecipe whole;
  whole.layers = {{2, 8}, {1, 5}, {3, 4}};
  whole.cut = BlockCut::kAll;
  whole.codeRank = 11;
  whole.narrowCodes = 11;
  whole.ownTables = true;
  whole.seed = 2;
  ProfileRecipe heads;
  heads.layers = {{2, 5}, {1, 7}, {3, 4}};
  heads.cut = BlockCut::kHead;
  heads.history = 0;
  heads.codeRank = 0;
  heads.mixed = true;
  heads.seed = 3;
  ProfileRecipe derived;
  derived.layers = {{2, 8}, {1, 8}, {2, 4}};
  derived.cut = BlockCut::kAll;
  derived.derived = true;
  derived.seed = 4;
  return {{"profile_planes", planes},
          {"profile_whole", whole},
          {"profile_heads", heads},
          {"profile_derived", derived}};
}

inline GoldenCase goldenLossy(std::string name, Preset preset, ElementType type,
                              const GoldenProfile& profile, uint8_t levels) {
  GoldenCase out{std::move(name), preset, type, profile.recipe.layers, 40};
  out.profile = profile.name;
  out.levels = levels;
  return out;
}

inline std::vector<GoldenCase> goldenLossyCases() {
  using enum ElementType;
  const Preset balanced = Preset::kBalanced;
  const Preset small = Preset::kSmall;
  const std::vector<GoldenProfile> profiles = goldenProfiles();
  const GoldenProfile& planes = profiles[0];
  const GoldenProfile& whole = profiles[1];
  const GoldenProfile& heads = profiles[2];
  GoldenCase image = goldenLossy("balanced_image", balanced, kF16, planes, 2);
  image.identity = GoldenCase::Identity::kImage;
  GoldenCase groups = goldenLossy("balanced_token_groups", balanced, kF32, planes, 2);
  groups.tokens = 75;
  groups.tokenGroup = 32;
  GoldenCase coarse = goldenLossy("balanced_gain_up", balanced, kF16, whole, 2);
  coarse.gain = 7;
  GoldenCase fine = goldenLossy("small_gain_down", small, kF32, whole, 1);
  fine.gain = -18;
  GoldenCase one = goldenLossy("small_one_token", small, kBf16, heads, 3);
  one.tokens = 1;
  return {goldenLossy("balanced_f16", balanced, kF16, planes, 2),
          goldenLossy("small_bf16", small, kBf16, planes, 2),
          goldenLossy("small_one_level_f32", small, kF32, whole, 1),
          goldenLossy("balanced_three_levels", balanced, kF32, whole, 3),
          goldenLossy("balanced_heads", balanced, kF16, heads, 2),
          image,
          groups,
          coarse,
          fine,
          one,
          goldenLossy("small_derived_layer", small, kF16, profiles[3], 2)};
}

inline std::vector<GoldenCase> goldenCases() {
  std::vector<GoldenCase> out = goldenPlainCases();
  for (const GoldenCase& golden : goldenLossyCases()) out.push_back(golden);
  return out;
}

// What a golden's input is encoded to for sizes.csv.
inline std::vector<GoldenCase> goldenEncodings(const GoldenCase& golden) {
  std::vector<Preset> presets{Preset::kLossless};
  if (golden.values != GoldenCase::Values::kBits) {
    for (Preset p : {Preset::kHigh, Preset::kBalanced, Preset::kSmall}) presets.push_back(p);
  }
  std::vector<GoldenCase> out;
  for (Preset preset : presets) out.emplace_back(golden).preset = preset;
  return out;
}

}  // namespace spolia::codec
