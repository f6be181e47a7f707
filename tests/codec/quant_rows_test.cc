// Every target gives the bits of the plain formulas.
#include "codec/values/quant_rows.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cfloat>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "codec/entropy/simd_targets.h"
#include "codec/values/half.h"

namespace spolia::codec {
namespace {

constexpr ElementType kTypes[] = {ElementType::kF32, ElementType::kF16, ElementType::kBf16};

// Of all magnitudes that are finite, many of them ordinary.
float anyFinite(std::mt19937& random) {
  if (random() % 2 == 0) return std::normal_distribution<float>()(random);
  for (;;) {
    const float f = std::bit_cast<float>(static_cast<uint32_t>(random()));
    if (std::isfinite(f)) return f;
  }
}

std::vector<float> manyFinite(size_t count, std::mt19937& random) {
  std::vector<float> out(count);
  for (float& f : out) f = anyFinite(random);
  return out;
}

// volatile: rounded after the product, whatever the compiler may do.
float restored(uint8_t symbol, float offset, float step, ElementType type) {
  const volatile float product = step * static_cast<float>(symbol - kQuantMiddle);
  const float raw = offset + product;
  const float limit = type == ElementType::kF16   ? kMaxF16
                      : type == ElementType::kF32 ? FLT_MAX
                                                  : f32FromBf16(kMaxBf16Bits);
  return std::max(-limit, std::min(raw, limit));
}

class QuantRowsTest : public ::testing::TestWithParam<std::string> {
 private:
  ForcedSimdTarget target_{GetParam()};
};

TEST_P(QuantRowsTest, RestoresLikeTheFormula) {
  std::mt19937 random(1);
  for (int round = 0; round < 3000; ++round) {
    const size_t count = random() % 70;
    const auto offset = manyFinite(count, random);
    const auto step = manyFinite(count, random);
    std::vector<uint8_t> symbols(count);
    for (uint8_t& s : symbols) s = static_cast<uint8_t>(random());
    for (ElementType type : kTypes) {
      const size_t size = elementSize(type);
      const size_t shift = random() % 4;  // targets need not be aligned
      std::vector<std::byte> out(shift + count * size + 1, std::byte{0x5a});
      restoreRow(symbols.data(), offset.data(), step.data(), count, type, out.data() + shift);
      ASSERT_EQ(out.back(), std::byte{0x5a});
      for (size_t i = 0; i < count; ++i) {
        const float value = restored(symbols[i], offset[i], step[i], type);
        uint32_t expected = std::bit_cast<uint32_t>(value);
        if (type == ElementType::kF16) expected = f16FromF32(value);
        if (type == ElementType::kBf16) expected = bf16FromF32(value);
        uint32_t got = 0;
        std::memcpy(&got, out.data() + shift + i * size, size);
        ASSERT_EQ(got, expected) << offset[i] << " + " << step[i] << " * " << int{symbols[i]};
      }
    }
  }
}

TEST_P(QuantRowsTest, QuantisesLikeTheFormula) {
  std::mt19937 random(2);
  for (int round = 0; round < 3000; ++round) {
    const size_t count = random() % 70;
    const auto values = manyFinite(count, random);
    const auto offset = manyFinite(count, random);
    auto divisor = manyFinite(count, random);
    for (float& d : divisor) d = d == 0 ? 1 : std::abs(d);
    std::vector<uint8_t> symbols(count + 1, 77);
    quantiseRow(values.data(), offset.data(), divisor.data(), count, symbols.data());
    ASSERT_EQ(symbols.back(), 77);
    for (size_t i = 0; i < count; ++i) {
      const float steps = (values[i] - offset[i]) / divisor[i];
      const float bounded = std::max(-kQuantReach, std::min(steps, kQuantReach));
      ASSERT_EQ(symbols[i], static_cast<int>(bounded + kQuantMiddle + 0.5f)) << steps;
    }
  }
}

TEST_P(QuantRowsTest, WidensEveryHalf) {
  std::vector<std::byte> from(2 * 65536 + 1);
  for (uint32_t h = 0; h < 65536; ++h) std::memcpy(&from[1 + 2 * h], &h, 2);
  std::vector<float> to(65536);
  widenRow(from.data() + 1, ElementType::kF16, to.size(), to.data());
  for (uint32_t h = 0; h < 65536; ++h) {
    const float expected = f32FromF16(static_cast<uint16_t>(h));
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(to[h]));
    } else {
      ASSERT_EQ(std::bit_cast<uint32_t>(to[h]), std::bit_cast<uint32_t>(expected)) << h;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, QuantRowsTest, ::testing::ValuesIn(simdTargets()),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace spolia::codec
