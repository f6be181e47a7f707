// Every target gives the bits of the plain formulas, for any factors, widths and counts.
#include "codec/lossy/panel_values.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

#include "codec/entropy/simd_targets.h"
#include "codec/values/half.h"

namespace spolia::codec {
namespace {

constexpr std::byte kGuardByte{0x5a};

// How large the factors are: what fits into a byte, what mostly does, anything; nothing at all.
enum class Factors { kBytes, kFewWide, kAny, kSparse, kExtreme, kZeros };
constexpr Factors kAllFactors[] = {Factors::kBytes,  Factors::kFewWide, Factors::kAny,
                                   Factors::kSparse, Factors::kExtreme, Factors::kZeros};

int16_t drawFactor(Factors kind, std::mt19937& random) {
  const auto any = static_cast<int16_t>(random());
  switch (kind) {
    case Factors::kBytes:
      return static_cast<int8_t>(any);
    case Factors::kFewWide:
      return random() % 40 == 0 ? any : static_cast<int8_t>(any);
    case Factors::kAny:
      return any;
    case Factors::kSparse:  // as at low rates: whole quads are zero
      return random() % 30 == 0 ? static_cast<int16_t>(any >> random() % 15) : int16_t{0};
    case Factors::kExtreme: {
      constexpr int16_t kEdges[] = {-32768, -32767, -32641, -32640, -129,  -128,  -127, 127,
                                    128,    129,    32639,  32640,  32641, 32766, 32767};
      return kEdges[random() % std::size(kEdges)];
    }
    case Factors::kZeros:
      break;
  }
  return 0;
}

// A matrix and what it is multiplied with.
struct Side {
  uint32_t rowCount, channels, count;
  size_t stride;
  std::vector<int8_t> rows;     // [row][channel]
  std::vector<int16_t> values;  // [token][stride]
  std::vector<int16_t> powers;  // empty: none
  std::vector<RowBytes> panels;
  FactorTiles tiles;

  Side(uint32_t rowsThere, uint32_t channelsThere, uint32_t tokens, Factors kind, bool powersToo,
       std::span<const uint32_t> widths, std::mt19937& random)
      : rowCount(rowsThere), channels(channelsThere) {
    count = (rowCount + kQuad - 1) / kQuad * kQuad;
    stride = count + random() % 3;
    rows.resize(size_t{rowCount} * channels);
    for (int8_t& r : rows) r = static_cast<int8_t>(random());
    values.resize(tokens * stride);
    for (int16_t& v : values) v = drawFactor(kind, random);
    for (uint32_t j = 0; j < count && powersToo; ++j) {
      powers.push_back(static_cast<int16_t>(1 << random() % 9));
    }
    panels = panelsOf(rows, channels, widths);
    prepare(tokens);
  }
  void prepare(uint32_t tokens) {
    tiles.prepare(values.data(), stride, count, powers.empty() ? nullptr : powers.data(), tokens);
  }
  PanelRows panelRows(uint32_t first) const {
    if (count == 0) return {};
    return {panels.front().bytes + size_t{first} * count, count / kQuad};
  }
  int32_t sum(uint32_t token, uint32_t channel) const {
    uint32_t out = 0;
    for (uint32_t j = 0; j < rowCount; ++j) {
      int32_t x = values[token * stride + j];
      if (!powers.empty()) x = std::clamp(x * powers[j], -32767, 32767);
      out += static_cast<uint32_t>(x * rows[size_t{j} * channels + channel]);
    }
    return static_cast<int32_t>(out);
  }
};

std::vector<uint32_t> drawWidths(uint32_t channels, std::mt19937& random) {
  std::vector<uint32_t> out;
  while (channels > 0) {
    const uint32_t wide = random() % 2 == 0 ? kPanelChannels : 1 + random() % kPanelChannels;
    out.push_back(std::min(channels, wide));
    channels -= out.back();
  }
  return out;
}

struct PanelCase {
  uint32_t channels, tokens;
  std::vector<uint32_t> widths;
  Side codes, coefficients;
  std::vector<float> mean, scale, mapScale;
  float factor;

  PanelCase(uint32_t codeRows, uint32_t components, uint32_t wide, uint32_t many, Factors kind,
            std::mt19937& random)
      : channels(wide),
        tokens(many),
        widths(drawWidths(wide, random)),
        codes(codeRows, wide, many, kind, false, widths, random),
        coefficients(components, wide, many, kind, random() % 2 == 0, widths, random) {
    std::normal_distribution<float> normal;
    for (auto* floats : {&mean, &scale, &mapScale}) {
      for (uint32_t c = 0; c < channels; ++c) floats->push_back(normal(random));
    }
    for (float& v : mean) v *= 1e6f;
    factor = normal(random);
  }

  PanelSums sums(uint32_t first, uint32_t width) const {
    return {codes.count == 0 ? nullptr : &codes.tiles,
            codes.panelRows(first),
            coefficients.count == 0 ? nullptr : &coefficients.tiles,
            coefficients.panelRows(first),
            width,
            mean.data() + first,
            scale.data() + first,
            mapScale.data() + first,
            factor};
  }
  // volatile: rounded after each operation, whatever the compiler may do.
  float expected(uint32_t token, uint32_t c) const {
    const volatile float predicted = static_cast<float>(codes.sum(token, c)) * mapScale[c];
    const volatile float rest = static_cast<float>(coefficients.sum(token, c)) * factor;
    const volatile float sum = predicted + rest;
    const volatile float scaled = scale[c] * sum;
    return mean[c] + scaled;
  }
};

float readValue(const std::byte* from, ElementType type) {
  if (type == ElementType::kF32) {
    float v;
    std::memcpy(&v, from, sizeof v);
    return v;
  }
  uint16_t half;
  std::memcpy(&half, from, sizeof half);
  return type == ElementType::kF16 ? f32FromF16(half) : f32FromBf16(half);
}

float rounded(float v, ElementType type) {
  if (type == ElementType::kBf16) return f32FromBf16(bf16FromF32(v));
  return type == ElementType::kF16 ? f32FromF16(f16FromF32(std::clamp(v, -kMaxF16, kMaxF16))) : v;
}

void checkRestored(const PanelCase& c, ElementType type) {
  const size_t element = elementSize(type);
  const size_t row = (c.channels + 3) * element;
  std::vector<std::byte> to(c.tokens * row, kGuardByte);
  uint32_t first = 0;
  for (uint32_t width : c.widths) {
    restorePanel(c.sums(first, width), c.tokens, type, to.data() + first * element,
                 static_cast<ptrdiff_t>(row));
    first += width;
  }
  for (uint32_t t = 0; t < c.tokens; ++t) {
    for (uint32_t k = 0; k < c.channels; ++k) {
      ASSERT_EQ(readValue(to.data() + t * row + k * element, type), rounded(c.expected(t, k), type))
          << c.codes.rowCount << " codes, " << c.coefficients.rowCount << " components, token " << t
          << " of " << c.tokens << ", channel " << k << " of " << c.channels;
    }
    for (size_t at = c.channels * element; at < row; ++at) ASSERT_EQ(to[t * row + at], kGuardByte);
  }
}

class PanelValuesTest : public ::testing::TestWithParam<std::string> {
 private:
  ForcedSimdTarget target_{GetParam()};
};

TEST_P(PanelValuesTest, RestoresLikeTheFormula) {
  std::mt19937 random(1);
  for (int round = 0; round < 60; ++round) {
    for (Factors kind : kAllFactors) {
      const PanelCase c(random() % 50, random() % 20 * kQuad, 1 + random() % 150, 1 + random() % 10,
                        kind, random);
      for (ElementType type : {ElementType::kF32, ElementType::kF16, ElementType::kBf16}) {
        checkRestored(c, type);
        if (HasFatalFailure()) return;
      }
    }
  }
}

// As many rows as there can be: sums wrap.
TEST_P(PanelValuesTest, SumsWrap) {
  std::mt19937 random(2);
  for (Factors kind : {Factors::kAny, Factors::kExtreme, Factors::kBytes}) {
    PanelCase c(256, 512, 37, 6, kind, random);
    checkRestored(c, ElementType::kF32);
    for (Side* side : {&c.codes, &c.coefficients}) {
      side->powers.clear();
      std::fill(side->values.begin(), side->values.end(), int16_t{-32768});
      std::fill(side->rows.begin(), side->rows.end(), int8_t{-128});
      side->panels = panelsOf(side->rows, c.channels, c.widths);
      side->prepare(c.tokens);
    }
    checkRestored(c, ElementType::kF32);
  }
}

// Of many tokens, then of few with other factors.
TEST_P(PanelValuesTest, TilesAreReused) {
  std::mt19937 random(3);
  PanelCase c(24, 40, 70, 300, Factors::kAny, random);
  for (uint32_t tokens : {300u, 7u, 1u, 4u}) {
    for (Side* side : {&c.codes, &c.coefficients}) {
      for (int16_t& v : side->values) v = drawFactor(Factors::kFewWide, random);
      side->prepare(tokens);
    }
    c.tokens = tokens;
    checkRestored(c, ElementType::kF32);
  }
}

// A product that is rounded before it is added differs from one that is not.
TEST_P(PanelValuesTest, ProductsAreRoundedBeforeTheyAreAdded) {
  const std::vector<int8_t> rows(40, 1);
  const std::vector<uint32_t> widths{40};
  const std::vector<RowBytes> panels = panelsOf(rows, 40, widths);
  const std::vector<int16_t> x{4097, 0, 0, 0};
  FactorTiles tiles;
  tiles.prepare(x.data(), 4, 4, nullptr, 1);
  const float factor = 1.0f + 1.0f / 4096 + 1.0f / (1 << 20);
  const volatile float product = 4097 * factor;
  const std::vector<float> mean(40, -product), ones(40, 1.0f);
  PanelSums sums;
  sums.coefficients = &tiles;
  sums.components = {panels.front().bytes, 1};
  sums.width = 40;
  sums.mean = mean.data();
  sums.scale = ones.data();
  sums.mapScale = ones.data();
  sums.factor = factor;
  std::vector<float> to(40, 1);
  restorePanel(sums, 1, ElementType::kF32, reinterpret_cast<std::byte*>(to.data()), 160);
  for (float v : to) ASSERT_EQ(v, 0.0f);
}

INSTANTIATE_TEST_SUITE_P(Targets, PanelValuesTest, ::testing::ValuesIn(simdTargets()),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace spolia::codec
