#include "codec/lossy/pseudo_inverse.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace spolia::codec {
namespace {

std::vector<float> randomValues(size_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> out(count);
  for (float& v : out) v = normal(random);
  return out;
}

// coefficients [row] times rows [row][channel].
std::vector<double> sumOf(const std::vector<double>& coefficients, const std::vector<float>& rows,
                          uint32_t channels) {
  std::vector<double> out(channels);
  for (size_t r = 0; r < coefficients.size(); ++r) {
    for (uint32_t c = 0; c < channels; ++c) {
      out[c] += coefficients[r] * double{rows[r * channels + c]};
    }
  }
  return out;
}

std::vector<double> coefficientsOf(const std::vector<double>& vector,
                                   const std::vector<float>& factors, uint32_t count) {
  std::vector<double> out(count);
  for (size_t c = 0; c < vector.size(); ++c) {
    for (uint32_t r = 0; r < count; ++r) out[r] += vector[c] * double{factors[c * count + r]};
  }
  return out;
}

TEST(PseudoInverseTest, GivesBackTheCoefficientsOfASum) {
  for (const auto& [count, channels] :
       {std::pair{1u, 1u}, {3u, 7u}, {20u, 33u}, {64u, 64u}, {60u, 192u}}) {
    const std::vector<float> rows = randomValues(size_t{count} * channels, count);
    const std::vector<float> factors = leastSquaresFactors(rows, count, channels);
    ASSERT_EQ(factors.size(), rows.size());
    std::vector<double> wanted(count);
    for (uint32_t r = 0; r < count; ++r) wanted[r] = std::sin(r + 1.0);
    const auto got = coefficientsOf(sumOf(wanted, rows, channels), factors, count);
    // A square of random numbers may be close to singular.
    const double near = count == channels ? 0.1 : 1e-3;
    for (uint32_t r = 0; r < count; ++r) EXPECT_NEAR(got[r], wanted[r], near) << count << " " << r;
  }
}

TEST(PseudoInverseTest, WhatIsLeftIsPerpendicularToAllRows) {
  constexpr uint32_t kCount = 12;
  constexpr uint32_t kChannels = 40;
  const std::vector<float> rows = randomValues(size_t{kCount} * kChannels, 7);
  const std::vector<float> values = randomValues(kChannels, 8);
  std::vector<double> left(values.begin(), values.end());
  const auto got = coefficientsOf(left, leastSquaresFactors(rows, kCount, kChannels), kCount);
  const auto sum = sumOf(got, rows, kChannels);
  for (uint32_t c = 0; c < kChannels; ++c) left[c] -= sum[c];
  for (uint32_t r = 0; r < kCount; ++r) {
    double product = 0;
    for (uint32_t c = 0; c < kChannels; ++c) product += left[c] * double{rows[r * kChannels + c]};
    EXPECT_NEAR(product, 0, 1e-3) << r;
  }
}

TEST(PseudoInverseTest, RowsOfOneDirectionShareIt) {
  const std::vector<float> rows = {1, 2, 3, 1, 2, 3, 0, 0, 0};
  const std::vector<float> factors = leastSquaresFactors(rows, 3, 3);
  const auto got = coefficientsOf({1, 2, 3}, factors, 3);
  const auto sum = sumOf(got, rows, 3);
  EXPECT_NEAR(sum[0], 1, 0.05);
  EXPECT_NEAR(sum[2], 3, 0.15);
  for (const double c : got) EXPECT_LT(std::fabs(c), 2);
}

}  // namespace
}  // namespace spolia::codec
