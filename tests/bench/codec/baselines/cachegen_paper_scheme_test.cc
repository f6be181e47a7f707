#include "bench/codec/baselines/cachegen_paper_scheme.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/bench/codec/baselines/made_up_samples.h"

namespace spolia::bench {
namespace {

class CacheGenPaperTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(scheme_.calibrate(samples_, kMadeUpShape).ok()); }

  // Largest error of a layer's values, over tokens 10 i + `from` to 10 i + `to` - 1.
  static float worst(const std::vector<float>& a, const std::vector<float>& b, uint32_t layer,
                     size_t from, size_t to) {
    float most = 0;
    for (size_t i = 0; i < a.size(); ++i) {
      const size_t token = i / kMadeUpShape.columns() % 10;
      if (token < from || token >= to) continue;
      if (placeOf(kMadeUpShape, i % kMadeUpShape.columns()).layer != layer) continue;
      most = std::max(most, std::abs(a[i] - b[i]));
    }
    return most;
  }

  std::vector<KvSample> samples_ = madeUpSamples(6, 60, 1);
  CacheGenPaperScheme scheme_;
};

// Anchors have their 8 bits at every quality; the differences' bins widen with it and with depth.
TEST_F(CacheGenPaperTest, QualityScalesDifferencesAlone) {
  const std::vector<float>& values = samples_[0].values;
  scheme_.prepare(0.1);
  const std::vector<float> fine = scheme_.code(samples_[0], 0.1).restored;
  scheme_.prepare(2);
  const std::vector<float> coarse = scheme_.code(samples_[0], 2).restored;
  for (uint32_t layer = 0; layer < 3; ++layer) {
    EXPECT_EQ(worst(values, fine, layer, 0, 1), worst(values, coarse, layer, 0, 1));
    EXPECT_GT(worst(values, coarse, layer, 1, 10), 8 * worst(values, fine, layer, 1, 10));
  }
  EXPECT_GT(worst(values, coarse, 1, 1, 10), 1.5f * worst(values, coarse, 0, 1, 10));
  EXPECT_GT(worst(values, coarse, 2, 1, 10), worst(values, coarse, 1, 1, 10));
}

// Values far outside of what was seen come back within a bin: they are escaped, not clipped.
TEST_F(CacheGenPaperTest, ValuesNeverSeenAreNotLost) {
  scheme_.prepare(0.5);
  KvSample odd = samples_[0];
  odd.values[5] = 300;
  odd.values[12 * kMadeUpShape.columns() + 7] = -500;
  const Outcome plain = scheme_.code(samples_[0], 0.5), outcome = scheme_.code(odd, 0.5);
  EXPECT_NEAR(outcome.restored[5], 300, 2);
  EXPECT_NEAR(outcome.restored[12 * kMadeUpShape.columns() + 7], -500, 2);
  EXPECT_GT(outcome.bytes, plain.bytes);
  EXPECT_LT(outcome.bytes, plain.bytes + 200);
}

}  // namespace
}  // namespace spolia::bench
