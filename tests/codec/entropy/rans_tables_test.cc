#include "codec/entropy/rans_tables.h"

#include <gtest/gtest.h>

#include <numeric>
#include <random>

namespace spolia::codec {
namespace {

uint32_t total(const FrequencyTable& table) {
  return std::accumulate(table.frequency.begin(), table.frequency.end(), 0u);
}

SymbolCounts randomCounts(std::mt19937& random) {
  SymbolCounts counts{};
  const uint32_t spread = 1 + random() % 24;
  for (uint32_t n = 1 + random() % 256; n > 0; --n) {
    counts[random() % 256] = 1 + random() % (1u << spread);
  }
  return counts;
}

TEST(RansTables, NormalisedCoverEverySymbolAndRoundTrip) {
  std::mt19937 random(3);
  for (int round = 0; round < 500; ++round) {
    const SymbolCounts counts = randomCounts(random);
    const FrequencyTable table = normalise(counts);
    ASSERT_EQ(total(table), kRansProbabilityTotal);
    for (size_t s = 0; s < 256; ++s) ASSERT_EQ(table.frequency[s] > 0, counts[s] > 0);
    ByteWriter out;
    writeFrequencies(table, out);
    out.u8(0xaa);
    ByteReader in(out.view());
    const auto read = readFrequencies(in);
    ASSERT_TRUE(read.ok()) << read.status().toString();
    ASSERT_EQ(*read, table);
    ASSERT_EQ(in.remaining(), 1u);
  }
}

TEST(RansTables, WhateverIsAcceptedSumsUp) {
  const uint32_t seed = 8;
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  int accepted = 0;
  for (int round = 0; round < 20000; ++round) {
    Bytes bytes(random() % 40);
    for (std::byte& b : bytes) b = static_cast<std::byte>(random());
    if (bytes.size() > 2) bytes[2] &= std::byte{7};
    if (bytes.size() > 1 && round % 2 == 0) bytes[1] = bytes[0] | std::byte{3};
    ByteReader in(bytes);
    const auto table = readFrequencies(in);
    if (!table.ok()) continue;
    ++accepted;
    ASSERT_EQ(total(*table), kRansProbabilityTotal);
  }
  EXPECT_GT(accepted, 0);
}

TEST(RansTables, DecodeTableNamesEachSlot) {
  FrequencyTable table;
  table.frequency[3] = 1;
  table.frequency[9] = 4095;
  DecodeTable slots;
  buildDecodeTable(table, slots);
  EXPECT_EQ(slots[0], 3u);
  EXPECT_EQ(slots[1], 9u | 4094u << 20);
  EXPECT_EQ(slots[4095], 9u | 4094u << 8 | 4094u << 20);
}

}  // namespace
}  // namespace spolia::codec
