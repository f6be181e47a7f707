#include "bench/codec/baselines/cachegen_released_scheme.h"

#include <gtest/gtest.h>

#include "tests/bench/codec/baselines/made_up_samples.h"

namespace spolia::bench {
namespace {

// Of a chunk of zeros nothing is left but scales and tables: 2 bytes a token, layer and K or V;
// bins + 1 limits of 2 bytes a channel. In 3 layers the first one of K and of V has 32 bins.
TEST(CacheGenReleasedTest, ScalesAndTablesAreCounted) {
  const KvShape& shape = kMadeUpShape;
  const size_t tokens = 40;
  const KvSample zeros{std::vector<codec::TokenId>(tokens),
                       std::vector<float>(tokens * shape.columns())};
  CacheGenReleasedScheme scheme;
  ASSERT_TRUE(scheme.calibrate({}, shape).ok());
  const Outcome outcome = scheme.code(zeros, 1);
  const size_t scales = tokens * shape.layers * 2 * 2;
  const size_t tables = shape.channels() * 2 * (33 + 33 + 4 * 17);
  EXPECT_GE(outcome.bytes, scales + tables);
  EXPECT_LE(outcome.bytes, scales + tables + 8);
  EXPECT_EQ(outcome.restored, zeros.values);
}

// Half a level of the largest magnitude of a token, layer and K or V; 16 bins are levels -7 to 7.
TEST(CacheGenReleasedTest, ErrsByHalfALevel) {
  const KvSample sample = madeUpSamples(1, 30, 1)[0];
  CacheGenReleasedScheme scheme;
  ASSERT_TRUE(scheme.calibrate({}, kMadeUpShape).ok());
  const std::vector<float> restored = scheme.code(sample, 1).restored;
  const size_t channels = kMadeUpShape.channels();
  for (size_t row = 0; row < sample.values.size(); row += channels) {
    const bool many = row / channels % (2 * kMadeUpShape.layers) < 2;
    float largest = 0;
    for (size_t c = 0; c < channels; ++c) {
      largest = std::max(largest, std::abs(sample.values[row + c]));
    }
    for (size_t c = 0; c < channels; ++c) {
      ASSERT_NEAR(restored[row + c], sample.values[row + c], largest / (many ? 15 : 7) * 0.501f);
    }
  }
}

}  // namespace
}  // namespace spolia::bench
