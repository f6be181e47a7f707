#include "codec/lossy/coefficient_coder.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "tests/codec/lossy/made_up_coefficients.h"
#include "tests/codec/lossy/made_up_profile.h"

namespace spolia::codec {
namespace {

void expectRoundTrip(Coefficients& from, CoefficientPart part, const PreparedTables& tables) {
  const Bytes bytes = from.written(part, tables);
  ASSERT_EQ(from.written(part, tables), bytes);
  Coefficients to(from.tokens, from.classes);
  // What is there before counts for kFine only.
  std::fill(to.values.begin(), to.values.end(), int16_t{100});
  const Status status = to.read(bytes, part, 1, tables);
  ASSERT_TRUE(status.ok()) << status.toString();
  if (part == CoefficientPart::kFine) {
    for (int16_t& v : to.values) v = static_cast<int16_t>(v - 100);
  }
  ASSERT_EQ(to.values, from.values);
}

TEST(CoefficientCoder, EveryLengthComesBack) {
  std::mt19937 random(1);
  const PreparedTables own(madeUpTables(random));
  for (uint32_t tokens = 1; tokens <= 71; ++tokens) {
    const uint32_t groups = 1 + random() % 40;
    for (const PreparedTables* tables : {&builtInPrepared(), &own}) {
      Coefficients whole(tokens == 71 ? 256 : tokens, anyClasses(groups, random));
      fillWhole(whole, tokens % 3 * 10, random);
      expectRoundTrip(whole, CoefficientPart::kWhole, *tables);
      fillFine(whole, random);
      expectRoundTrip(whole, CoefficientPart::kFine, *tables);
      if (HasFatalFailure()) FAIL() << tokens << " tokens, " << groups << " groups";
    }
  }
}

TEST(CoefficientCoder, EveryNumberOfGroupsAndEveryClassComesBack) {
  std::mt19937 random(2);
  for (uint32_t groups = 1; groups <= 40; ++groups) {
    Coefficients some(5, anyClasses(groups, random));
    fillWhole(some, 9, random);
    expectRoundTrip(some, CoefficientPart::kWhole, builtInPrepared());
  }
  for (uint8_t c = 0; c < kStepClasses; ++c) {
    Coefficients one(33, std::vector<uint8_t>(3, c));
    for (int16_t v : {int16_t{0}, int16_t{1}, int16_t{-1}, int16_t{7}, int16_t{-8}, int16_t{127},
                      int16_t{-128}, int16_t{8191}, int16_t{-8191}}) {
      std::fill(one.values.begin(), one.values.end(), v);
      expectRoundTrip(one, CoefficientPart::kWhole, builtInPrepared());
    }
    fillWhole(one, 2, random);  // every other one beyond its class
    expectRoundTrip(one, CoefficientPart::kWhole, builtInPrepared());
    if (HasFatalFailure()) FAIL() << "class " << int{c};
  }
}

TEST(CoefficientCoder, ScaleMultipliesWholeAndFine) {
  Coefficients from = sampleOf(9, 5, 4, 3);
  for (int16_t& v : from.values) v = std::clamp<int16_t>(v, -910, 910);
  const Bytes bytes = from.written(CoefficientPart::kWhole);
  for (int16_t scale : {1, 3, 9}) {
    Coefficients to(9, from.classes);
    ASSERT_TRUE(to.read(bytes, CoefficientPart::kWhole, scale).ok());
    for (size_t i = 0; i < to.values.size(); ++i) {
      ASSERT_EQ(to.values[i], from.values[i] * scale);
    }
  }
  std::mt19937 random(5);
  fillFine(from, random);
  Coefficients to(9, from.classes);
  std::fill(to.values.begin(), to.values.end(), int16_t{-30});
  ASSERT_TRUE(to.read(from.written(CoefficientPart::kFine), CoefficientPart::kFine, 3).ok());
  for (size_t i = 0; i < to.values.size(); ++i) ASSERT_EQ(to.values[i], from.values[i] * 3 - 30);
}

TEST(CoefficientCoder, SilenceTakesAByte) {
  for (CoefficientPart part : {CoefficientPart::kWhole, CoefficientPart::kFine}) {
    Coefficients from(12, {3, 30, 12});
    const Bytes bytes = from.written(part);
    EXPECT_EQ(bytes.size(), 1u);
    expectRoundTrip(from, part, builtInPrepared());
    Coefficients none(12, {});
    expectRoundTrip(none, part, builtInPrepared());
  }
}

// The size is what the distribution says: no class pays for another's symbols.
TEST(CoefficientCoder, SizeFollowsTheEntropy) {
  std::mt19937 random(8);
  Coefficients from(256, {6, 14, 24, 14, 6, 30});
  std::exponential_distribution<double> side;
  for (size_t i = 0; i < from.values.size(); ++i) {
    const int32_t above = from.classes[i / kPackComponents % from.classes.size()] - kUnitClass;
    const double v = side(random) * std::exp2(above / 4.0) / std::sqrt(2.0);
    from.values[i] = static_cast<int16_t>((random() % 2 == 0 ? 1 : -1) * std::lround(v));
  }
  double bits = 0;
  for (size_t i = 0; i < from.values.size(); ++i) {
    const int32_t above = from.classes[i / kPackComponents % from.classes.size()] - kUnitClass;
    const double rate = std::sqrt(2.0) / std::exp2(above / 4.0);
    const int32_t v = std::abs(from.values[i]);
    const double p =
        v == 0 ? 1 - std::exp(-rate / 2) : std::exp(-rate * (v - 0.5)) * (1 - std::exp(-rate)) / 2;
    bits -= std::log2(p);
  }
  const double size = static_cast<double>(from.written(CoefficientPart::kWhole).size());
  EXPECT_LT(size, bits / 8 * 1.03 + 4 * kRansLanes / 2 + 80);
  EXPECT_GT(size, bits / 8 * 0.97);
}

// What is counted is what is coded: symbols beyond a pack's reach are its escape.
TEST(CoefficientCoder, CountsTheSymbolsThatItCodes) {
  std::mt19937 random(31);
  for (CoefficientPart part : {CoefficientPart::kWhole, CoefficientPart::kFine}) {
    const bool fine = part == CoefficientPart::kFine;
    Coefficients from(37, anyClasses(30, random));
    fine ? fillFine(from, random) : fillWhole(from, 11, random);
    ClassCounts counts;
    countCoefficients(from.groups(), from.tokens, part, counts);
    ClassCounts expected;
    for (size_t i = 0; i < from.values.size();) {
      const uint8_t stepClass = from.classes[i / kPackComponents % from.classes.size()];
      const PackForm form = fine ? kFinePack : coarsePack(stepClass);
      uint32_t symbol = 0;
      bool inside = true;
      for (uint32_t k = 0; k < form.values; ++k, ++i) {
        inside &= std::abs(from.values[i]) <= form.reach;
        symbol = symbol * form.base() + static_cast<uint32_t>(from.values[i] + form.reach);
      }
      ++(fine ? expected.fine : expected.coarse)[stepClass][inside ? symbol : form.escape()];
    }
    EXPECT_EQ(counts.coarse, expected.coarse);
    EXPECT_EQ(counts.fine, expected.fine);
  }
}

// A reader's scratch may have held anything.
TEST(CoefficientCoder, ScratchIsReused) {
  CoefficientScratch scratch;
  std::mt19937 random(21);
  for (int round = 0; round < 60; ++round) {
    Coefficients from(1 + random() % 90, anyClasses(1 + random() % 20, random));
    fillWhole(from, 7, random);
    const Bytes bytes = from.written(CoefficientPart::kWhole);
    Coefficients to(from.tokens, from.classes);
    ByteReader in(bytes);
    ASSERT_TRUE(readCoefficients(in, to.groups(), to.tokens, CoefficientPart::kWhole, 1,
                                 builtInPrepared(), scratch)
                    .ok());
    ASSERT_TRUE(in.finished());
    ASSERT_EQ(to.values, from.values);
  }
}

}  // namespace
}  // namespace spolia::codec
