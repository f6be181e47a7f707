// Norm, rotation, gate and element types against their references, over odd lengths.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "engine/kernels/activation.h"
#include "engine/kernels/element_convert.h"
#include "engine/kernels/norm.h"
#include "engine/kernels/reference.h"
#include "engine/kernels/rope.h"
#include "tests/support/compare.h"
#include "tests/support/tiny_model.h"

namespace spolia::engine {
namespace {

using test::asRow;
using test::closeTo;
using test::kEps;

constexpr size_t kLengths[] = {1, 3, 7, 8, 9, 31, 64, 100, 769};

// Of the magnitude of each expected value.
testing::AssertionResult relativelyClose(std::span<const float> actual,
                                         std::span<const float> expected, double tolerance) {
  return closeTo(asRow(actual), asRow(expected),
                 [&](size_t, size_t c) { return tolerance * std::fabs(expected[c]) + 1e-37; });
}

std::vector<float> numbers(test::Random& random, size_t n, float magnitude) {
  std::vector<float> out(n);
  for (float& value : out) value = random.uniform(-magnitude, magnitude);
  return out;
}

TEST(RowKernels, RmsNorm) {
  test::Random random(1);
  for (size_t n : kLengths) {
    for (float magnitude : {1e-4f, 1.0f, 1e4f}) {
      const auto in = numbers(random, n, magnitude), weight = numbers(random, n, 2);
      std::vector<float> out(n), expected(n);
      rmsNorm(in.data(), weight.data(), n, 1e-5f, out.data());
      reference::rmsNorm(in.data(), weight.data(), n, 1e-5f, expected.data());
      // Half the error of the sum of squares (all positive), then root, quotient, two products.
      EXPECT_TRUE(relativelyClose(out, expected, test::sumError(n + 1) / 2 + 6 * kEps)) << n;
    }
  }
}

TEST(RowKernels, SiluMultiply) {
  test::Random random(2);
  for (size_t n : kLengths) {
    auto gate = numbers(random, n, 20);
    gate[0] = -100;  // exp(100) overflows: the quotient has to become 0, not NaN
    const auto up = numbers(random, n, 3);
    std::vector<float> out(n), expected(n);
    siluMultiply(gate.data(), up.data(), n, out.data());
    reference::siluMultiply(gate.data(), up.data(), n, expected.data());
    EXPECT_TRUE(relativelyClose(out, expected, 10 * kEps)) << n;
    siluMultiply(gate.data(), up.data(), n, gate.data());
    EXPECT_EQ(gate, out);
  }
}

TEST(RowKernels, RotateHead) {
  test::Random random(3);
  for (uint32_t headDim : {2, 6, 16, 20, 64, 80, 128}) {
    const RopeTable table(headDim, 500000, 5000);
    for (uint32_t position : {0, 1, 255, 256, 4095, 4999}) {
      const auto in = numbers(random, headDim, 1);
      std::vector<float> out(headDim), expected(headDim);
      rotateHead(in.data(), table.at(position), headDim, 0.5f, out.data());
      reference::rotateHead(in.data(), position, 500000, headDim, expected.data());
      for (float& value : expected) value *= 0.5f;
      // Values up to 1: cosine, scale, product and sum, each one rounding of at most that size.
      EXPECT_TRUE(closeTo(asRow(out), asRow(expected), 6 * kEps)) << headDim << " " << position;
    }
  }
}

TEST(RowKernels, AtPositionZeroNothingTurns) {
  const RopeTable table(64, 10000, 10);
  test::Random random(4);
  const auto in = numbers(random, 64, 1);
  std::vector<float> out(64);
  rotateHead(in.data(), table.at(0), 64, 1, out.data());
  EXPECT_EQ(out, in);
}

TEST(ElementConvert, EveryF16AndBf16Value) {
  std::vector<uint16_t> bits(65536);
  for (size_t i = 0; i < bits.size(); ++i) bits[i] = static_cast<uint16_t>(i);
  const auto* bytes = reinterpret_cast<const std::byte*>(bits.data());
  std::vector<float> f16(65536), bf16(65536);
  widenF16(bytes, bits.size(), f16.data());
  widenBf16(bytes, bits.size(), bf16.data());
  for (size_t i = 0; i < bits.size(); ++i) {
    const float want16 = reference::widenF16(bits[i]), wantB = reference::widenBf16(bits[i]);
    if (std::isnan(want16)) {
      ASSERT_TRUE(std::isnan(f16[i])) << i;
    } else {
      ASSERT_EQ(std::bit_cast<uint32_t>(f16[i]), std::bit_cast<uint32_t>(want16)) << i;
    }
    ASSERT_EQ(std::bit_cast<uint32_t>(bf16[i]), std::bit_cast<uint32_t>(wantB)) << i;
  }
  // And back: the same bits, NaN aside.
  std::vector<uint16_t> back(65536);
  narrowF16(f16.data(), f16.size(), reinterpret_cast<std::byte*>(back.data()));
  for (size_t i = 0; i < bits.size(); ++i) {
    if (!std::isnan(f16[i])) {
      ASSERT_EQ(back[i], bits[i]);
    }
  }
  narrowBf16(bf16.data(), bf16.size(), reinterpret_cast<std::byte*>(back.data()));
  for (size_t i = 0; i < bits.size(); ++i) {
    if (!std::isnan(bf16[i])) {
      ASSERT_EQ(back[i], bits[i]);
    }
  }
}

TEST(ElementConvert, RoundsToNearestEven) {
  const float inf = std::numeric_limits<float>::infinity();
  struct Case {
    float value;
    uint16_t f16, bf16;
  };
  const Case cases[] = {
      {1.0f, 0x3c00, 0x3f80},
      {-2.0f, 0xc000, 0xc000},
      {1.0f + 0x1p-11f, 0x3c00, 0x3f80},  // half a place of f16: to even, down
      {1.0f + 0x3p-11f, 0x3c02, 0x3f80},  // one and a half: to even, up
      {1.0f + 0x1p-8f, 0x3c04, 0x3f80},   // half a place of bf16: down
      {1.0f + 0x3p-8f, 0x3c0c, 0x3f82},   // one and a half: up
      {65519.0f, 0x7bff, 0x4780},         // the largest f16
      {65520.0f, 0x7c00, 0x4780},         // halfway to 65536
      {0x1p-24f, 0x0001, 0x3380},         // the smallest subnormal f16
      {0x1p-25f, 0x0000, 0x3300},         // half of it: to even, zero
      {0x1.8p-25f, 0x0001, 0x3340},
      {0x1.ff8p-15f, 0x03ff, 0x3880},  // the largest subnormal f16
      {inf, 0x7c00, 0x7f80},
      {0.0f, 0x0000, 0x0000},
      {-0.0f, 0x8000, 0x8000},
      {3.4e38f, 0x7c00, 0x7f80},  // bf16 too rounds up to infinity
  };
  for (const Case& c : cases) {
    // In the vector part and in the tail.
    for (size_t n : {1, 19}) {
      const std::vector<float> in(n, c.value);
      std::vector<uint16_t> out(n);
      narrowF16(in.data(), n, reinterpret_cast<std::byte*>(out.data()));
      EXPECT_EQ(out, std::vector<uint16_t>(n, c.f16)) << c.value;
      narrowBf16(in.data(), n, reinterpret_cast<std::byte*>(out.data()));
      EXPECT_EQ(out, std::vector<uint16_t>(n, c.bf16)) << c.value;
    }
  }
  const std::vector<float> nan(19, std::nanf(""));
  std::vector<uint16_t> out(19);
  std::vector<float> back(19);
  narrowF16(nan.data(), 19, reinterpret_cast<std::byte*>(out.data()));
  widenF16(reinterpret_cast<const std::byte*>(out.data()), 19, back.data());
  for (float value : back) EXPECT_TRUE(std::isnan(value));
  narrowBf16(nan.data(), 19, reinterpret_cast<std::byte*>(out.data()));
  widenBf16(reinterpret_cast<const std::byte*>(out.data()), 19, back.data());
  for (float value : back) EXPECT_TRUE(std::isnan(value));
}

TEST(ElementConvert, RandomValuesAsTheReference) {
  test::Random random(5);
  for (float magnitude : {1e-6f, 1e-3f, 1.0f, 1e3f, 1e5f}) {
    const auto in = numbers(random, 1003, magnitude);
    std::vector<uint16_t> f16(in.size()), bf16(in.size());
    narrowF16(in.data(), in.size(), reinterpret_cast<std::byte*>(f16.data()));
    narrowBf16(in.data(), in.size(), reinterpret_cast<std::byte*>(bf16.data()));
    for (size_t i = 0; i < in.size(); ++i) {
      ASSERT_EQ(f16[i], reference::narrowF16(in[i])) << in[i];
      ASSERT_EQ(bf16[i], reference::narrowBf16(in[i])) << in[i];
    }
  }
}

}  // namespace
}  // namespace spolia::engine
