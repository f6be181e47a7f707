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

float limitOf(ElementType type) {
  return type == ElementType::kF16   ? kMaxF16
         : type == ElementType::kF32 ? FLT_MAX
                                     : f32FromBf16(kMaxBf16Bits);
}

uint32_t bitsOf(float value, ElementType type) {
  return type == ElementType::kF16    ? f16FromF32(value)
         : type == ElementType::kBf16 ? bf16FromF32(value)
                                      : std::bit_cast<uint32_t>(value);
}

float floatOf(uint32_t bits, ElementType type) {
  return type == ElementType::kF16    ? f32FromF16(static_cast<uint16_t>(bits))
         : type == ElementType::kBf16 ? f32FromBf16(static_cast<uint16_t>(bits))
                                      : std::bit_cast<float>(bits);
}

// volatile: rounded after the product, whatever the compiler may do.
float restored(uint8_t symbol, float offset, float step, ElementType type) {
  const volatile float product = step * static_cast<float>(symbol - kQuantMiddle);
  const float raw = offset + product;
  const float limit = limitOf(type);
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
        const uint32_t expected = bitsOf(value, type);
        uint32_t got = 0;
        std::memcpy(&got, out.data() + shift + i * size, size);
        ASSERT_EQ(got, expected) << offset[i] << " + " << step[i] << " * " << int{symbols[i]};
      }
    }
  }
}

// A row of what stood there, what is added onto it and what comes of it.
void checkScaled(size_t count, ElementType type, bool add, std::mt19937& random) {
  const auto values = manyFinite(count, random);
  const auto base = manyFinite(count, random);
  const auto scale = manyFinite(count, random);
  const size_t size = elementSize(type);
  const size_t shift = random() % 4;  // targets need not be aligned
  std::vector<std::byte> there(shift + count * size + 1, std::byte{0x5a});
  for (size_t i = 0; i < count; ++i) {
    const float limit = limitOf(type);
    const uint32_t bits = bitsOf(std::clamp(anyFinite(random), -limit, limit), type);
    std::memcpy(there.data() + shift + i * size, &bits, size);
  }
  std::vector<std::byte> out = there;
  scaleRow(values.data(), base.data(), scale.data(), count, add, type, out.data() + shift);
  ASSERT_EQ(out.back(), std::byte{0x5a});
  for (size_t i = 0; i < count; ++i) {
    uint32_t before = 0;
    uint32_t got = 0;
    std::memcpy(&before, there.data() + shift + i * size, size);
    std::memcpy(&got, out.data() + shift + i * size, size);
    const volatile float product = scale[i] * values[i];
    const volatile float from = add ? floatOf(before, type) + base[i] : base[i];
    const float raw = from + product;
    if (std::isnan(raw)) continue;  // infinities of both signs: anything
    const float limit = limitOf(type);
    ASSERT_EQ(got, bitsOf(std::max(-limit, std::min(raw, limit)), type))
        << from << " + " << scale[i] << " * " << values[i] << ' ' << elementTypeName(type);
  }
}

TEST_P(QuantRowsTest, ScalesLikeTheFormula) {
  std::mt19937 random(5);
  for (int round = 0; round < 2000; ++round) {
    const size_t count = round < 100 ? 60 + random() % 140 : random() % 70;
    for (ElementType type : kTypes) {
      checkScaled(count, type, round % 2 == 0, random);
      if (HasFatalFailure()) return;
    }
  }
}

// Whatever comes of it, no infinity is handed out.
TEST_P(QuantRowsTest, ScalingBoundsInfinities) {
  const std::vector<float> values(37, FLT_MAX);
  const std::vector<float> base(37, -1.0f);
  for (float factor : {FLT_MAX, -FLT_MAX, 2.0f, -70000.0f}) {
    const std::vector<float> scale(37, factor);
    for (ElementType type : kTypes) {
      for (bool add : {false, true}) {
        std::vector<std::byte> out(37 * elementSize(type));
        scaleRow(values.data(), base.data(), scale.data(), 37, add, type, out.data());
        for (size_t i = 0; i < 37; ++i) {
          uint32_t got = 0;
          std::memcpy(&got, &out[i * elementSize(type)], elementSize(type));
          ASSERT_EQ(floatOf(got, type), std::copysign(limitOf(type), factor));
        }
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
