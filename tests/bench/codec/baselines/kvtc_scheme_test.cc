#include "bench/codec/baselines/kvtc_scheme.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/bench/codec/baselines/made_up_samples.h"

namespace spolia::bench {
namespace {

TEST(PcaTest, FindsTheDirectionsThatCarryAll) {
  const std::vector<KvSample> samples = madeUpSamples(8, 64, 1), other = madeUpSamples(1, 64, 2);
  const Pca pca = Pca::fit(samples, kMadeUpShape).value();
  EXPECT_GT(pca.variances()[5], 20 * pca.variances()[6]) << "six directions were put in";
  const auto errorOf = [&](size_t components) {
    return errorBetween(other[0].values, pca.restore(pca.project(other[0].values, components)));
  };
  EXPECT_LT(errorOf(6), 0.0015) << "what is left is the noise";
  EXPECT_GT(errorOf(5), errorOf(6));
  EXPECT_LT(errorOf(kMadeUpShape.columns()), 1e-9) << "all components give all back";
}

TEST(PcaTest, RefusesWhatWouldTakeForEver) {
  const KvShape wide{40, 8, 128};
  EXPECT_EQ(Pca::fit({}, wide).status().code(), ErrorCode::kUnsupported);
  EXPECT_EQ(Pca::fit({}, kMadeUpShape).status().code(), ErrorCode::kInvalidArgument);
}

TEST(KvtcSchemeTest, FewerBytesForMoreError) {
  const std::vector<KvSample> samples = madeUpSamples(8, 64, 1), other = madeUpSamples(1, 64, 2);
  for (const auto form : {KvtcScheme::Form::kAsPublished, KvtcScheme::Form::kKind}) {
    KvtcScheme scheme(form);
    ASSERT_TRUE(scheme.calibrate(samples, kMadeUpShape).ok());
    uint64_t bytes = UINT64_MAX;
    double error = 0;
    for (const double quality : {4.0, 8.0, 16.0}) {
      scheme.prepare(quality);
      const Outcome outcome = scheme.code(other[0], quality);
      EXPECT_LT(outcome.bytes, bytes);
      bytes = outcome.bytes;
      const double now = errorBetween(other[0].values, outcome.restored);
      EXPECT_GT(now, error);
      error = now;
    }
  }
}

TEST(KvtcSchemeTest, FirstTokensAreExactAsPublished) {
  const std::vector<KvSample> samples = madeUpSamples(8, 64, 1);
  KvtcScheme scheme(KvtcScheme::Form::kAsPublished);
  ASSERT_TRUE(scheme.calibrate(samples, kMadeUpShape).ok());
  scheme.prepare(16);
  const std::vector<float> restored = scheme.code(samples[0], 16).restored;
  for (size_t i = 0; i < 4 * kMadeUpShape.columns(); ++i) {
    ASSERT_EQ(restored[i], samples[0].values[i]);
  }
}

}  // namespace
}  // namespace spolia::bench
