#include "bench/codec/baselines/range_coder.h"

#include <gtest/gtest.h>

#include <cmath>

#include "bench/codec/baselines/signed_table.h"
#include "tests/support/tiny_model.h"

namespace spolia::bench {
namespace {

using engine::test::Random;

TEST(RangeCoderTest, NothingTakesNothing) {
  EXPECT_EQ(RangeEncoder().finish().size(), 0u);
}

// Parts of one in 2^16 at the upper end make long runs of bytes 255 with carries at their end.
TEST(RangeCoderTest, BringsBackExtremeParts) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Random random(seed);
    std::vector<std::pair<uint32_t, uint32_t>> parts;
    RangeEncoder encoder;
    for (int i = 0; i < 300; ++i) {
      const uint32_t frequency =
          random.below(3) == 0 ? 1 + random.below(kProbabilityTotal - 1) : 1 + random.below(3);
      const uint32_t room = kProbabilityTotal - frequency;
      const uint32_t start = random.below(2) == 0 ? room : random.below(room + 1);
      parts.push_back({start, frequency});
      encoder.encode(start, frequency);
    }
    const Bytes stream = encoder.finish();
    RangeDecoder decoder(stream);
    for (const auto& [start, frequency] : parts) {
      const uint32_t slot = decoder.slot();
      ASSERT_TRUE(slot >= start && slot < start + frequency) << "seed " << seed;
      decoder.consume(start, frequency);
    }
  }
}

TEST(RangeCoderTest, TakesNoMoreThanTheEntropy) {
  const std::vector<uint32_t> counts = {900, 60, 30, 9, 1, 0};
  const SymbolTable table(counts, 0);
  Random random(1);
  std::vector<uint32_t> symbols;
  for (uint32_t s = 0; s < counts.size(); ++s) symbols.insert(symbols.end(), 20 * counts[s], s);
  for (size_t i = symbols.size(); i > 1; --i) {
    std::swap(symbols[i - 1], symbols[random.below(static_cast<uint32_t>(i))]);
  }
  RangeEncoder encoder;
  double bits = 0;
  for (const uint32_t s : symbols) {
    table.encode(s, encoder);
    bits -= std::log2(counts[s] / 1000.0);
  }
  const Bytes stream = encoder.finish();
  EXPECT_NEAR(8.0 * static_cast<double>(stream.size()), bits, 0.005 * bits);
  RangeDecoder decoder(stream);
  for (const uint32_t s : symbols) ASSERT_EQ(table.decode(decoder), s);
}

TEST(RangeCoderTest, TablesAreWhole) {
  for (const std::vector<uint32_t>& counts :
       {std::vector<uint32_t>{0, 0, 5}, {1}, std::vector<uint32_t>(3000, 1), {4000000000u, 1}}) {
    const SymbolTable table(counts, 0);
    EXPECT_EQ(table.starts().front(), 0u);
    EXPECT_EQ(table.starts().back(), kProbabilityTotal);
    for (size_t s = 0; s < table.symbols(); ++s) {
      EXPECT_LT(table.starts()[s], table.starts()[s + 1]);
    }
  }
}

TEST(RangeCoderTest, NumbersNeverSeenCostBitsOnly) {
  const std::vector<int32_t> seen = {0, 0, 1, -2, 0};
  const SignedTable table(seen);
  const std::vector<int32_t> wanted = {0, 2, -2, 3, -3, 32767, -32768, 0};
  RangeEncoder encoder;
  for (const int32_t value : wanted) table.encode(value, encoder);
  table.encode(1 << 20, encoder);
  const Bytes stream = encoder.finish();
  RangeDecoder decoder(stream);
  for (const int32_t value : wanted) EXPECT_EQ(table.decode(decoder), value);
  EXPECT_EQ(table.decode(decoder), 32767);
}

}  // namespace
}  // namespace spolia::bench
