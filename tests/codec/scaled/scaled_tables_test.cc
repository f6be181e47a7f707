#include "codec/scaled/scaled_tables.h"

#include <gtest/gtest.h>

#include <cmath>

#include "codec/base/checksum.h"

namespace spolia::codec {
namespace {

// Of a logistic distribution of this standard deviation, in steps: how likely a value rounds to v.
double logistic(double spread, int32_t v) {
  const double scale = spread * std::sqrt(3.0) / M_PI;
  const auto beyond = [&](double x) { return 1 / (1 + std::exp(x / scale)); };
  return v == 0 ? 1 - 2 * beyond(0.5) : beyond(std::abs(v) - 0.5) - beyond(std::abs(v) + 0.5);
}

double spreadOf(uint32_t stepClass) {
  return std::exp2((static_cast<double>(stepClass) - kUnitClass) / kClassesPerOctave);
}

TEST(ScaledTables, AreSound) {
  for (uint32_t c = 0; c < kStepClasses; ++c) {
    const uint32_t escape = coarsePack(c, kScaledLastPair).escape();
    uint32_t coarse = 0;
    uint32_t fine = 0;
    for (uint32_t s = 0; s < 256; ++s) {
      coarse += scaledTables().coarse[c].frequency[s];
      fine += scaledTables().fine[c].frequency[s];
      ASSERT_TRUE(s <= escape || scaledTables().coarse[c].frequency[s] == 0) << c << ' ' << s;
      ASSERT_EQ(scaledTables().fine[c].frequency[s] != 0, s < kFinePack.escape()) << c << ' ' << s;
      // What bounds a reader's memory.
      ASSERT_LE(scaledTables().coarse[c].frequency[s], 4032) << c;
      ASSERT_LE(scaledTables().fine[c].frequency[s], 4032) << c;
    }
    EXPECT_EQ(coarse, kRansProbabilityTotal);
    EXPECT_EQ(fine, kRansProbabilityTotal);
    EXPECT_GT(scaledTables().coarse[c].frequency[escape], 0);
  }
}

TEST(ScaledTables, CostLittleMoreThanTheDistribution) {
  for (uint32_t c = 8; c <= 34; ++c) {
    const PackForm form = coarsePack(c, kScaledLastPair);
    const auto& frequency = scaledTables().coarse[c].frequency;
    double bits = 0;
    double ideal = 0;
    for (uint32_t s = 0; s < form.escape(); ++s) {
      double p = 1;
      for (uint32_t i = 0, rest = s; i < form.values; ++i, rest /= form.base()) {
        p *= logistic(spreadOf(c), static_cast<int32_t>(rest % form.base()) - form.reach);
      }
      const uint32_t f = frequency[s] != 0 ? frequency[s] : frequency[form.escape()];
      bits += p * ((frequency[s] != 0 ? 0 : 8 * form.values) - std::log2(f / 4096.0));
      ideal -= p * std::log2(p);
    }
    EXPECT_LT(bits / ideal, c < 10 ? 1.05 : 1.025) << c;
  }
}

// Streams would not decode with others.
TEST(ScaledTables, NeverChange) {
  ByteWriter all;
  for (uint32_t c = 0; c < kStepClasses; ++c) all.write(scaledTables().coarse[c].frequency);
  for (uint32_t c = 0; c < kStepClasses; ++c) all.write(scaledTables().fine[c].frequency);
  EXPECT_EQ(xxh3(all.view()), 0x3d99f1d85b07a4adu);
}

}  // namespace
}  // namespace spolia::codec
