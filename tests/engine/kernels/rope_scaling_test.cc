#include "engine/kernels/rope_scaling.h"

#include <gtest/gtest.h>

#include <cmath>

namespace spolia::engine {
namespace {

struct Known {
  uint32_t pair;
  double frequency;
};

// By the formulas of modeling_rope_utils.py, in PyTorch and f32. A power, a quotient and a blend in
// f32 are off by a few places each.
void expectFrequencies(const std::vector<float>& found, size_t pairs,
                       const std::vector<Known>& known) {
  ASSERT_EQ(found.size(), pairs);
  for (const Known& one : known) {
    EXPECT_NEAR(found[one.pair], one.frequency, one.frequency * 6 * 0x1p-23) << one.pair;
  }
}

TEST(RopeScaling, UnscaledKindsAreThePowersOfTheta) {
  const std::vector<Known> known = {
      {0, 1}, {1, 0.814617217}, {24, 0.00729266508}, {63, 2.4551407e-06}};
  expectFrequencies(ropeFrequencies(128, 500000, {}), 64, known);
  EXPECT_EQ(ropeFrequencies(128, 500000, {.kind = RopeKind::kDynamic, .factor = 8}),
            ropeFrequencies(128, 500000, {}));
}

TEST(RopeScaling, LinearDividesAll) {
  expectFrequencies(ropeFrequencies(128, 10000, {.kind = RopeKind::kLinear, .factor = 4}), 64,
                    {{0, 0.25}, {10, 0.0592843406}, {32, 0.00249999994}, {63, 2.88695483e-05}});
}

TEST(RopeScaling, Llama31KeepsShortWavesAndDividesLongOnes) {
  const RopeScaling scaling = {.kind = RopeKind::kLlama3,
                               .factor = 8,
                               .originalPositions = 8192,
                               .lowFrequencyFactor = 1,
                               .highFrequencyFactor = 4};
  expectFrequencies(ropeFrequencies(128, 500000, scaling), 64,
                    {{0, 1},
                     {24, 0.00729266508},
                     {28, 0.00321144611},
                     {29, 0.00216657063},
                     {30, 0.00137189368},
                     {31, 0.00085675146},
                     {32, 0.000524846022},
                     {36, 7.78465546e-05},
                     {63, 3.06892588e-07}});
}

RopeScaling yarn(double factor, uint32_t original, bool truncate) {
  return {.kind = RopeKind::kYarn,
          .factor = factor,
          .originalPositions = original,
          .betaFast = 32,
          .betaSlow = 1,
          .truncate = truncate,
          .attentionFactor = 1.1};
}

TEST(RopeScaling, YarnOfQwenBlendsBetweenWholePairs) {
  expectFrequencies(ropeFrequencies(128, 1e6, yarn(4, 32768, true)), 64,
                    {{0, 1},
                     {20, 0.0133352149},
                     {24, 0.00537532149},
                     {29, 0.00140511245},
                     {32, 0.000602941145},
                     {36, 0.000179841154},
                     {40, 4.44569851e-05},
                     {63, 3.10234441e-07}});
}

TEST(RopeScaling, YarnMayBlendBetweenFractionsOfPairs) {
  expectFrequencies(
      ropeFrequencies(64, 150000, yarn(32, 4096, false)), 32,
      {{0, 1}, {1, 0.689044297}, {10, 0.0193349998}, {20, 1.8188337e-05}, {31, 3.0235114e-07}});
}

// Bounds that meet or cross, heads of a single pair: numbers all the same.
TEST(RopeScaling, DegenerateBoundsStayFinite) {
  for (const uint32_t headDim : {2u, 4u, 64u}) {
    for (const uint32_t original : {1u, 7u, 1u << 24}) {
      for (const double betaFast : {1e-6, 1.0, 1e6}) {
        RopeScaling scaling = yarn(2, original, headDim == 4);
        scaling.betaFast = betaFast;
        for (const float frequency : ropeFrequencies(headDim, 1.5f, scaling)) {
          EXPECT_TRUE(std::isfinite(frequency) && frequency > 0 && frequency <= 1);
        }
      }
    }
  }
}

}  // namespace
}  // namespace spolia::engine
