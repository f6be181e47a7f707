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

class QuantRowsTest : public ::testing::TestWithParam<std::string> {
 private:
  ForcedSimdTarget target_{GetParam()};
};

// Steps of a head in the middle of a plane, restored to rows that are apart.
void checkRestored(ElementType type, bool add, std::mt19937& random) {
  const uint32_t channels = 1 + random() % 300;
  const uint32_t tokens = 1 + random() % 20;
  const size_t stride = tokens * kStepGroup + random() % 9;
  std::vector<int16_t> steps((channels / kStepGroup + 1) * stride);
  for (int16_t& n : steps) n = static_cast<int16_t>(random());
  std::vector<float> offset(channels);
  for (float& o : offset)
    o = static_cast<float>(static_cast<int32_t>(random() % 8388609) - 4194304);
  StepRows rows;
  rows.steps = random() % 10 == 0 ? nullptr : steps.data();
  rows.groupStride = stride;
  rows.channel = random() % channels;
  rows.count = 1 + random() % (channels - rows.channel);
  rows.offset = offset.data() + rows.channel;
  do rows.step = std::abs(anyFinite(random));
  while (rows.step == 0);
  const uint32_t begin = random() % tokens;
  const uint32_t end = begin + 1 + random() % (tokens - begin);
  const size_t size = elementSize(type);
  const size_t rowBytes = rows.count * size + random() % 5;
  std::vector<std::byte> there((end - begin) * rowBytes + 4, std::byte{0x35});
  std::vector<std::byte> out = there;
  const size_t shift = random() % 4;  // targets need not be aligned
  restoreSteps(rows, begin, end, add, type, out.data() + shift, static_cast<ptrdiff_t>(rowBytes));
  for (uint32_t t = begin; t < end; ++t) {
    for (uint32_t c = 0; c < rows.count; ++c) {
      const uint32_t channel = rows.channel + c;
      const auto n = static_cast<float>(
          rows.steps ? steps[channel / kStepGroup * stride + t * kStepGroup + channel % kStepGroup]
                     : 0);
      const size_t at = shift + (t - begin) * rowBytes + c * size;
      uint32_t before = 0;
      uint32_t got = 0;
      std::memcpy(&before, &there[at], size);
      std::memcpy(&got, &out[at], size);
      // volatile: rounded after the product, whatever the compiler may do.
      const volatile float product = add ? n * rows.step : (n + rows.offset[c]) * rows.step;
      const float raw = add ? floatOf(before, type) + product : product;
      const float limit = limitOf(type);
      ASSERT_EQ(got, bitsOf(std::max(-limit, std::min(raw, limit)), type))
          << n << " steps of " << rows.step << ' ' << elementTypeName(type);
      std::memcpy(&out[at], &before, size);
    }
  }
  EXPECT_EQ(out, there);  // nothing else was touched
}

TEST_P(QuantRowsTest, RestoresStepsLikeTheFormula) {
  std::mt19937 random(1);
  for (int round = 0; round < 600; ++round) {
    for (ElementType type : kTypes) {
      checkRestored(type, round % 2 == 0, random);
      if (HasFatalFailure()) return;
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
