#include "bench/codec/baselines/scheme_list.h"

#include <gtest/gtest.h>

#include "tests/bench/codec/baselines/made_up_samples.h"

namespace spolia::bench {
namespace {

TEST(SchemeListTest, NamesChooseSchemes) {
  const auto schemes = schemesNamed("kvtc,int4").value();
  ASSERT_EQ(schemes.size(), 2u);
  EXPECT_EQ(schemes[0]->name(), "kvtc");
  EXPECT_EQ(schemes[1]->name(), "int4");
  EXPECT_EQ(schemesNamed("").value().size(), allSchemes().size());
  const Status unknown = schemesNamed("int4,gzip").status();
  EXPECT_EQ(unknown.code(), ErrorCode::kInvalidArgument);
  EXPECT_NE(unknown.message().find("'gzip'"), std::string::npos);
  EXPECT_EQ(schemesNamed("int4,int4").status().code(), ErrorCode::kInvalidArgument);
}

// At its finest every scheme gives nearly back what it got, of text it has not seen, at any length.
TEST(SchemeListTest, FinestQualityIsNearlyExact) {
  const std::vector<KvSample> samples = madeUpSamples(6, 48, 1);
  for (const std::unique_ptr<Scheme>& scheme : allSchemes()) {
    ASSERT_TRUE(scheme->calibrate(samples, kMadeUpShape).ok());
    const double finest = scheme->qualities().front();
    scheme->prepare(finest);
    for (const size_t tokens : {1u, 37u, 48u}) {
      const KvSample sample = madeUpSamples(1, tokens, 2)[0];
      const Outcome outcome = scheme->code(sample, finest);
      ASSERT_EQ(outcome.restored.size(), sample.values.size()) << scheme->name();
      EXPECT_GT(outcome.bytes, 0u);
      // Four bits are few, and fixed steps end somewhere: text may go beyond what was seen.
      const bool coarse = scheme->name() == "int4" || scheme->name() == "kvtc-kind";
      const double least = coarse ? 0.05 : 0.005;
      EXPECT_LT(errorBetween(sample.values, outcome.restored), least)
          << scheme->name() << ", tokens " << tokens;
    }
  }
}

TEST(SchemeListTest, LosslessOnesAreExact) {
  const std::vector<KvSample> samples = madeUpSamples(1, 40, 3);
  const auto schemes = schemesNamed("lossless-f16,zstd-f16,zstd-planes-f16").value();
  for (const auto& scheme : schemes) {
    ASSERT_TRUE(scheme->calibrate({}, kMadeUpShape).ok());
    EXPECT_EQ(scheme->code(samples[0], 1).restored, samples[0].values) << scheme->name();
  }
}

// Coarser qualities come later and are smaller.
TEST(SchemeListTest, SweepsGoFromFineToCoarse) {
  const std::vector<KvSample> samples = madeUpSamples(6, 64, 1);
  for (const std::unique_ptr<Scheme>& scheme : allSchemes()) {
    ASSERT_TRUE(scheme->calibrate(samples, kMadeUpShape).ok());
    uint64_t bytes = UINT64_MAX;
    for (const double quality : scheme->qualities()) {
      scheme->prepare(quality);
      const uint64_t now = scheme->code(samples[0], quality).bytes;
      EXPECT_LE(now, bytes) << scheme->name() << ' ' << quality;
      bytes = now;
    }
  }
}

}  // namespace
}  // namespace spolia::bench
