#include "codec/entropy/rans_simd_encoder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "codec/entropy/rans_reciprocal.h"
#include "codec/entropy/rans_scalar.h"
#include "codec/entropy/simd_targets.h"
#include "tests/codec/entropy/rans_samples.h"

namespace spolia::codec {
namespace {

// Where a quotient changes, which is where a reciprocal would be wrong first.
TEST(RansReciprocal, DividesExactly) {
  std::mt19937 random(6);
  for (uint32_t frequency = 1; frequency <= kRansProbabilityTotal; ++frequency) {
    const uint64_t end = uint64_t{frequency} << 20;
    const RansReciprocal r = reciprocalOf(frequency, 0);
    ASSERT_EQ(r.complement(), kRansProbabilityTotal - frequency);
    for (int i = 0; i < 2000; ++i) {
      const uint64_t back = i < 1000 ? i : random() % (1u << 20);
      const uint64_t multiple = end - (back + 1) * frequency;
      for (uint64_t x : {multiple, multiple + frequency - 1, multiple + random() % frequency}) {
        if (x >= end) continue;
        ASSERT_EQ(r.divide(static_cast<uint32_t>(x)), x / frequency) << x << " / " << frequency;
      }
    }
  }
}

class RansSimdEncoderTest : public ::testing::TestWithParam<std::string> {
 protected:
  void expectSameBytes(std::span<const uint8_t> symbols, const FrequencyTable& table) {
    ByteWriter reference;
    reference.u8(1);  // it appends
    ByteWriter out;
    out.u8(1);
    ransEncode(symbols, table, reference);
    ransSimdEncode(symbols, table, out);
    ASSERT_TRUE(std::ranges::equal(reference.view(), out.view())) << symbols.size();
  }

 private:
  ForcedSimdTarget target_{GetParam()};
};

TEST_P(RansSimdEncoderTest, SameBytesAsTheReference) {
  std::mt19937 random(7);
  for (const FrequencyTable& table : sampleTables(random)) {
    for (size_t count = 0; count <= 200; ++count) {
      expectSameBytes(drawSymbols(table, count, random), table);
      ASSERT_FALSE(HasFailure());
    }
    expectSameBytes(drawSymbols(table, 100000 + random() % 64, random), table);
    ASSERT_FALSE(HasFailure());
  }
}

// Every symbol the rarest, so that each one gives a word away or nearly so.
TEST_P(RansSimdEncoderTest, SymbolsThatAreUnlikely) {
  std::mt19937 random(8);
  for (const FrequencyTable& table : sampleTables(random)) {
    uint8_t rarest = 0;
    for (int s = 255; s >= 0; --s) {
      const uint16_t f = table.frequency[static_cast<size_t>(s)];
      if (f == 0) continue;
      const uint16_t least = table.frequency[rarest];
      if (least == 0 || f < least) rarest = static_cast<uint8_t>(s);
    }
    const std::vector<uint8_t> symbols(5000, rarest);
    expectSameBytes(symbols, table);
    ASSERT_FALSE(HasFailure());
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, RansSimdEncoderTest, ::testing::ValuesIn(simdTargets()),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace spolia::codec
