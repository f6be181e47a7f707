// Every target gives the bits of the plain formulas, for any counts and offsets.
#include "codec/lossy/transform_rows.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <random>
#include <vector>

#include "codec/entropy/simd_targets.h"

namespace spolia::codec {
namespace {

constexpr float kGuard = 1234.5f;

class TransformRowsTest : public ::testing::TestWithParam<std::string> {
 private:
  ForcedSimdTarget target_{GetParam()};
};

struct Product {
  uint32_t pairs, channels, channel, count;
  size_t xStride, toStride;
  std::vector<int8_t> rows;
  std::vector<int16_t> x;
  std::vector<float> to, factors;
  float factor;

  Product(uint32_t pairCount, uint32_t channelCount, std::mt19937& random)
      : pairs(pairCount), channels(channelCount) {
    channel = random() % channels;
    count = random() % (channels - channel + 1);
    xStride = 2 * pairs + random() % 5;
    toStride = count + random() % 3;
    rows.resize(size_t{2} * pairs * channels);
    for (int8_t& r : rows) r = static_cast<int8_t>(random());
    x.resize(kTileTokens * xStride);
    const bool sparse = random() % 2 == 0;  // as at low rates: pairs of zeros are left out
    for (int16_t& v : x) v = sparse && random() % 8 != 0 ? 0 : static_cast<int16_t>(random());
    to.resize(kTileTokens * toStride + 1);
    std::normal_distribution<float> normal;
    for (float& v : to) v = normal(random) * 1e6f;
    to.back() = kGuard;
    factor = normal(random);
    factors.resize(count);
    for (float& f : factors) f = normal(random);
  }
  // volatile: rounded after the product, whatever the compiler may do.
  float expected(uint32_t t, uint32_t c) const {
    uint32_t sum = 0;
    for (uint32_t p = 0; p < pairs; ++p) {
      for (uint32_t side = 0; side < 2; ++side) {
        const int32_t row = rows[(size_t{p} * channels + channel + c) * 2 + side];
        sum += static_cast<uint32_t>(x[t * xStride + 2 * p + side] * row);
      }
    }
    const volatile float scale = factors[c] * factor;
    const volatile float product = static_cast<float>(static_cast<int32_t>(sum)) * scale;
    return to[t * toStride + c] + product;
  }
};

void checkProduct(const Product& p) {
  std::vector<float> to = p.to;
  addProducts(p.x.data(), p.xStride, {p.rows.data(), p.pairs, p.channels}, p.channel, p.count,
              p.factors.data(), p.factor, to.data(), p.toStride);
  ASSERT_EQ(to.back(), kGuard);
  for (uint32_t t = 0; t < kTileTokens; ++t) {
    for (uint32_t c = 0; c < p.toStride; ++c) {
      const float want = c < p.count ? p.expected(t, c) : p.to[t * p.toStride + c];
      ASSERT_EQ(std::bit_cast<uint32_t>(to[t * p.toStride + c]), std::bit_cast<uint32_t>(want))
          << p.pairs << " pairs, channel " << p.channel << " + " << c << " of " << p.channels;
    }
  }
}

TEST_P(TransformRowsTest, AddsProductsLikeTheFormula) {
  std::mt19937 random(1);
  for (int round = 0; round < 2000; ++round) {
    checkProduct(Product(random() % 20, 1 + random() % 150, random));
    if (HasFatalFailure()) return;
  }
}

// As many rows as there can be: sums wrap.
TEST_P(TransformRowsTest, SumsWrap) {
  std::mt19937 random(2);
  for (uint32_t pairs : {128u, 256u, 300u}) {
    Product p(pairs, 37, random);
    std::fill(p.x.begin(), p.x.end(), int16_t{-32768});
    std::fill(p.rows.begin(), p.rows.end(), int8_t{-128});
    checkProduct(p);
    for (int8_t& r : p.rows) r = static_cast<int8_t>(random());
    checkProduct(p);
  }
}

// A product that is rounded before it is added differs from one that is not.
TEST_P(TransformRowsTest, ProductsAreRoundedBeforeTheyAreAdded) {
  const std::vector<int8_t> rows(2 * 40, 1);
  std::vector<int16_t> x(kTileTokens * 2, 0);
  for (uint32_t t = 0; t < kTileTokens; ++t) x[2 * t] = 4097;
  const float factor = 1.0f + 1.0f / 4096 + 1.0f / (1 << 20);
  const volatile float product = 4097 * factor;
  std::vector<float> to(kTileTokens * 40, -product);
  const std::vector<float> ones(40, 1.0f);
  addProducts(x.data(), 2, {rows.data(), 1, 40}, 0, 40, ones.data(), factor, to.data(), 40);
  for (float v : to) ASSERT_EQ(v, 0.0f);
}

TEST_P(TransformRowsTest, NothingToAddLeavesWhatIsThere) {
  std::vector<float> to(kTileTokens * 9, 3.0f);
  const std::vector<int16_t> x(4);
  const std::vector<float> ones(9, 1.0f);
  addProducts(x.data(), 0, {nullptr, 0, 9}, 0, 9, ones.data(), 2.0f, to.data(), 9);
  addProducts(x.data(), 0, {nullptr, 0, 9}, 4, 5, ones.data(), 2.0f, to.data(), 9);
  for (float v : to) ASSERT_EQ(v, 3.0f);
}

TEST_P(TransformRowsTest, ProjectsLikeTheFormula) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  for (int round = 0; round < 600; ++round) {
    const uint32_t channels = 1 + random() % 90;
    const uint32_t count = random() % 70;
    const size_t toStride = count + random() % 3;
    std::vector<float> from(kTileTokens * channels), columns(size_t{channels} * count);
    for (float& v : from) v = normal(random);
    for (float& v : columns) v = normal(random);
    std::vector<float> to(kTileTokens * toStride + 1, kGuard);
    project(from.data(), channels, columns.data(), count, to.data(), toStride);
    ASSERT_EQ(to.back(), kGuard);
    for (uint32_t t = 0; t < kTileTokens; ++t) {
      for (uint32_t j = 0; j < toStride; ++j) {
        double sum = j < count ? 0 : kGuard;
        double most = 0;
        for (uint32_t c = 0; c < channels && j < count; ++c) {
          const double term = double{from[t * channels + c]} * columns[c * count + j];
          sum += term;
          most += std::abs(term);
        }
        ASSERT_NEAR(to[t * toStride + j], sum, most * 1e-5);
      }
    }
  }
}

TEST_P(TransformRowsTest, ShiftsWithinSixteenBits) {
  std::mt19937 random(4);
  for (int round = 0; round < 300; ++round) {
    const size_t count = random() % 80;
    std::vector<int16_t> values(count);
    std::vector<uint8_t> shifts(count);
    for (int16_t& v : values) v = static_cast<int16_t>(random()) >> random() % 16;
    for (uint8_t& s : shifts) s = random() % 9;
    std::vector<int16_t> x(count + 1, 77);
    shiftRow(values.data(), shifts.data(), count, x.data());
    ASSERT_EQ(x.back(), 77);
    for (size_t i = 0; i < count; ++i) {
      ASSERT_EQ(x[i], std::clamp(values[i] * (1 << shifts[i]), -32767, 32767));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, TransformRowsTest, ::testing::ValuesIn(simdTargets()),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace spolia::codec
