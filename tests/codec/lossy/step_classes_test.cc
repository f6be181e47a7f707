#include "codec/lossy/step_classes.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "codec/base/checksum.h"

namespace spolia::codec {
namespace {

uint32_t sumOf(const FrequencyTable& table) {
  uint32_t sum = 0;
  for (uint16_t f : table.frequency) sum += f;
  return sum;
}

void checkSound(const ClassTables& tables) {
  for (uint32_t c = 0; c < kStepClasses; ++c) {
    const uint32_t escape = coarsePack(c).escape();
    ASSERT_EQ(sumOf(tables.coarse[c]), kRansProbabilityTotal) << c;
    ASSERT_EQ(sumOf(tables.fine[c]), kRansProbabilityTotal) << c;
    ASSERT_GT(tables.coarse[c].frequency[escape], 0) << c;
    for (uint32_t s = 0; s < 256; ++s) {
      ASSERT_TRUE(s <= escape || tables.coarse[c].frequency[s] == 0) << c << ' ' << s;
      ASSERT_EQ(tables.fine[c].frequency[s] != 0, s < kFinePack.escape()) << c << ' ' << s;
    }
  }
}

// Of a Laplace distribution with this standard deviation, in steps: how likely it is that a value
// rounds to `v`.
double laplace(double spread, int32_t v) {
  const double rate = std::sqrt(2.0) / spread;
  if (v == 0) return 1 - std::exp(-rate / 2);
  return std::exp(-rate * (std::abs(v) - 0.5)) * (1 - std::exp(-rate)) / 2;
}

double spreadOf(uint32_t stepClass) {
  return std::exp2((static_cast<double>(stepClass) - kUnitClass) / kClassesPerOctave);
}

double packProbability(uint32_t symbol, PackForm form, double spread) {
  double p = 1;
  for (uint32_t i = 0; i < form.values; ++i, symbol /= form.base()) {
    p *= laplace(spread, static_cast<int32_t>(symbol % form.base()) - form.reach);
  }
  return p;
}

TEST(StepClasses, BuiltInTablesAreSound) {
  checkSound(builtInTables());
}

TEST(StepClasses, BuiltInTablesAreLaplace) {
  for (uint32_t c = 0; c < kStepClasses; ++c) {
    const PackForm form = coarsePack(c);
    const auto& frequency = builtInTables().coarse[c].frequency;
    double bits = 0;
    double ideal = 0;
    for (uint32_t s = 0; s < form.escape(); ++s) {
      const double p = packProbability(s, form, spreadOf(c));
      const double q = frequency[s] / double{kRansProbabilityTotal};
      // Within a unit of the table, two per cent more, or too rare to have a place.
      EXPECT_NEAR(q, p, 2.0 / kRansProbabilityTotal + p * 0.02) << c << ' ' << s;
      const double cost =
          q > 0 ? -std::log2(q)
                : 24 - std::log2(frequency[form.escape()] / double{kRansProbabilityTotal});
      bits += p * cost;
      ideal -= p * std::log2(p > 0 ? p : 1);
    }
    // What the built-in table costs beyond the entropy, per symbol.
    EXPECT_LT(bits - ideal, 0.06 + 0.02 * ideal) << c;
  }
}

TEST(StepClasses, FineTablesSayWhereAValueLiesInItsStep) {
  for (uint32_t c = 8; c < kStepClasses - 8; ++c) {
    double middle = 0;
    for (int32_t v = -300; v <= 300; v += kLevelSplit) middle += laplace(spreadOf(c), v);
    const double side = (1 - middle) / 2;
    double loss = 0;  // bits per symbol
    for (uint32_t s = 0; s < kFinePack.escape(); ++s) {
      double p = 1;
      for (uint32_t i = 0, rest = s; i < 4; ++i, rest /= 3) p *= rest % 3 == 1 ? middle : side;
      const double q = builtInTables().fine[c].frequency[s] / double{kRansProbabilityTotal};
      // Equal symbols round alike, and one of them bears what is left over.
      EXPECT_NEAR(q, p, 20.0 / kRansProbabilityTotal + p * 0.2) << c << ' ' << s;
      loss += p * std::log2(p / q);
    }
    EXPECT_LT(loss, 0.02) << c;
  }
}

// Streams of profiles that name the built-in tables would not decode with others.
TEST(StepClasses, BuiltInTablesNeverChange) {
  ByteWriter all;
  for (const auto* kind : {&builtInTables().coarse, &builtInTables().fine}) {
    for (const FrequencyTable& table : *kind) all.write(table.frequency);
  }
  EXPECT_EQ(xxh3(all.view()), 0xcb7657031d87175du);
}

TEST(StepClasses, PacksFitAByteAndShareTheComponents) {
  for (uint32_t c = 0; c < kStepClasses; ++c) {
    const PackForm form = coarsePack(c);
    EXPECT_LE(form.escape(), 255u);
    EXPECT_EQ(kPackComponents % form.values, 0u);
    EXPECT_EQ(form.base(), 2u * form.reach + 1);
    EXPECT_EQ(form.escape(), std::lround(std::pow(form.base(), form.values)));
    // Hardly anything lies beyond the reach.
    const double rate = std::sqrt(2.0) / spreadOf(c);
    EXPECT_LT(form.values == 1 ? 0 : std::exp(-rate * (form.reach + 0.5)), 0.006) << c;
  }
  EXPECT_EQ(coarsePack(0).values, 4);
  EXPECT_EQ(coarsePack(9).values, 4);
  EXPECT_EQ(coarsePack(10).values, 2);
  EXPECT_EQ(coarsePack(18).values, 2);
  EXPECT_EQ(coarsePack(19).values, 1);
  EXPECT_EQ(kFinePack.escape(), 81u);
}

TEST(StepClasses, ClassIsTheNearestQuarterOctave) {
  EXPECT_EQ(classOf(1), static_cast<uint32_t>(kUnitClass));
  for (uint32_t c = 1; c < kStepClasses - 1; ++c) {
    EXPECT_EQ(classOf(static_cast<float>(spreadOf(c))), c);
    const double edge = spreadOf(c) * std::exp2(0.5 / kClassesPerOctave);
    EXPECT_EQ(classOf(static_cast<float>(edge * 0.999)), c);
    EXPECT_EQ(classOf(static_cast<float>(edge * 1.001)), c + 1);
  }
  for (float tiny : {1e-38f, 1e-45f, 0.001f}) EXPECT_EQ(classOf(tiny), 0u) << tiny;
  for (float large : {1e4f, 3e38f, std::numeric_limits<float>::infinity()}) {
    EXPECT_EQ(classOf(large), kStepClasses - 1) << large;
  }
  EXPECT_EQ(classOf(0), 0u);
}

TEST(StepClasses, ShiftsStayWithinTheTable) {
  EXPECT_EQ(shiftedClass(10, 5), 15u);
  EXPECT_EQ(shiftedClass(10, -10), 0u);
  EXPECT_EQ(shiftedClass(10, -11), 0u);
  EXPECT_EQ(shiftedClass(40, 7), 47u);
  EXPECT_EQ(shiftedClass(40, 8), 47u);
  EXPECT_EQ(shiftedClass(0, -300), 0u);
  EXPECT_EQ(shiftedClass(47, 300), 47u);
}

TEST(StepClasses, TablesOfAnyCountsAreSound) {
  std::mt19937 random(3);
  for (int round = 0; round < 40; ++round) {
    ClassTables tables;
    for (uint32_t c = 0; c < kStepClasses; ++c) {
      const PackForm form = coarsePack(c);
      SymbolCounts coarse{};
      SymbolCounts fine{};
      coarse[random() % form.escape()] = 1;
      fine[random() % kFinePack.escape()] = 1;
      for (uint32_t n = random() % 300; n > 0; --n) {
        coarse[random() % (form.escape() + 1)] += random() >> random() % 32 >> 6;
        fine[random() % kFinePack.escape()] += random() >> random() % 32 >> 6;
      }
      tables.coarse[c] = coarseTableOf(coarse, form);
      tables.fine[c] = fineTableOf(fine);
    }
    checkSound(tables);
    if (HasFatalFailure()) return;
  }
}

// The escape may be all there is to count, and counts may be large.
TEST(StepClasses, TablesOfExtremeCountsAreSound) {
  for (uint32_t count : {1u, 5999u, 6000u, 6001u, UINT32_MAX}) {
    ClassTables tables;
    for (uint32_t c = 0; c < kStepClasses; ++c) {
      SymbolCounts coarse{};
      coarse[0] = count;
      SymbolCounts fine{};
      fine[80] = count;
      tables.coarse[c] = coarseTableOf(coarse, coarsePack(c));
      tables.fine[c] = fineTableOf(fine);
      EXPECT_GT(tables.coarse[c].frequency[0], 2000);
    }
    checkSound(tables);
  }
}

}  // namespace
}  // namespace spolia::codec
