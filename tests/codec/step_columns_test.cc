// Every target gives the same bits, and those of plain sums but for their rounding.
#include "codec/values/step_columns.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "codec/entropy/simd_targets.h"

namespace spolia::codec {
namespace {

struct Columns {
  uint32_t rows;
  uint32_t columns;
  size_t stride;
  std::vector<float> values;
  std::vector<float> mean, deviation, farthest;

  Columns(uint32_t r, uint32_t c, uint32_t seed)
      : rows(r), columns(c), stride(c + seed % 5), values(stride * r + 1) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = normal(random) + 10 * static_cast<float>(i % stride);
    }
  }
  ValueMatrix matrix() const { return {values.data(), stride, rows, columns}; }
  void measure() {
    for (auto* to : {&mean, &deviation, &farthest}) to->assign(columns, -1);
    measureColumns(matrix(), mean.data(), deviation.data(), farthest.data());
  }
};

TEST(StepColumns, MeasuresMeansAndDistances) {
  for (uint32_t rows : {1u, 2u, 127u, 128u, 129u, 1000u}) {
    for (uint32_t columns : {1u, 3u, 4u, 40u, 133u}) {
      Columns c(rows, columns, rows + columns);
      c.measure();
      for (uint32_t at = 0; at < columns; ++at) {
        double mean = 0;
        double distance = 0;
        double farthest = 0;
        for (uint32_t row = 0; row < rows; ++row) mean += c.values[row * c.stride + at];
        mean /= rows;
        for (uint32_t row = 0; row < rows; ++row) {
          const double d = std::abs(c.values[row * c.stride + at] - mean);
          distance += d / rows;
          farthest = std::max(farthest, d);
        }
        // A few roundings of numbers as large as the mean.
        const double bound = 1e-6 * (std::abs(mean) + 1);
        ASSERT_NEAR(c.mean[at], mean, bound);
        ASSERT_NEAR(c.deviation[at], distance, 2 * bound);
        ASSERT_NEAR(c.farthest[at], farthest, 2 * bound);
      }
    }
  }
}

// Many values of one size are not lost in their sum.
TEST(StepColumns, LongColumnsKeepTheirMean) {
  Columns c(65536, 4, 1);
  for (float& v : c.values) v = 1000.1f;
  c.measure();
  for (uint32_t at = 0; at < 4; ++at) {
    EXPECT_NEAR(c.mean[at], 1000.1f, 0.05);
    EXPECT_LT(c.deviation[at], 0.05);
  }
}

TEST(StepColumns, FindsWhatIsNotFinite) {
  for (float bad : {std::numeric_limits<float>::infinity(), std::nanf("")}) {
    Columns c(9, 21, 3);
    EXPECT_TRUE(std::isfinite(largestMagnitude(c.matrix())));
    c.values[5 * c.stride + 20] = -bad;
    EXPECT_FALSE(std::isfinite(largestMagnitude(c.matrix())));
  }
  Columns c(9, 21, 3);
  c.values[7] = -4e5f;
  EXPECT_EQ(largestMagnitude(c.matrix()), 4e5f);
}

TEST(StepColumns, EveryTargetGivesTheSameBits) {
  Columns c(300, 60, 7);
  c.measure();
  std::vector<float> inverse(60, 3.7f);
  std::vector<int32_t> offset(60);
  for (int i = 0; i < 60; ++i) offset[static_cast<size_t>(i)] = 37 * i;
  std::vector<std::vector<int16_t>> steps;
  for (const std::string& target : simdTargets()) {
    const ForcedSimdTarget forced(target);
    Columns again = c;
    again.measure();
    EXPECT_EQ(again.mean, c.mean) << target;
    EXPECT_EQ(again.deviation, c.deviation) << target;
    EXPECT_EQ(again.farthest, c.farthest) << target;
    std::vector<int16_t>& to = steps.emplace_back(15 * 1203);
    quantiseColumns(c.matrix(), inverse.data(), offset.data(), to.data(), 1203);
    EXPECT_EQ(to, steps.front()) << target;
  }
  for (uint32_t row = 0; row < 300; ++row) {
    for (uint32_t at = 0; at < 60; ++at) {
      const float exact = c.values[row * c.stride + at] * 3.7f;
      ASSERT_NEAR(steps[0][at / 4 * 1203 + row * 4 + at % 4] + offset[at], exact, 0.501);
    }
  }
}

}  // namespace
}  // namespace spolia::codec
