#include "codec/lossy/profile_rows.h"

#include <gtest/gtest.h>

#include <random>

namespace spolia::codec {
namespace {

std::vector<int8_t> randomRows(size_t count, int reach, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<int8_t> out(count);
  for (int8_t& v : out) v = static_cast<int8_t>(static_cast<int>(random() % (2 * reach)) - reach);
  return out;
}

Bytes written(const std::vector<int8_t>& rows, uint32_t channels) {
  ByteWriter out;
  writeRows(rows, channels, out);
  return out.take();
}

TEST(ProfileRows, WhatIsWrittenIsRead) {
  for (const auto& [count, channels, reach] : {std::tuple{0u, 5u, 128},
                                               {1u, 1u, 128},
                                               {16u, 7u, 3},
                                               {17u, 7u, 128},
                                               {40u, 96u, 15},
                                               {3u, 5000u, 1}}) {
    const std::vector<int8_t> rows = randomRows(size_t{count} * channels, reach, count);
    const Bytes bytes = written(rows, channels);
    ByteReader in(bytes);
    RowBudget budget(bytes.size());
    std::vector<int8_t> got;
    ASSERT_TRUE(readRows(in, count, channels, budget, got).ok());
    EXPECT_TRUE(in.finished());
    EXPECT_EQ(got, rows);
  }
}

TEST(ProfileRows, RowsThatReachLessAreSmaller) {
  const size_t count = 64 * 96;
  const Bytes far = written(randomRows(count, 127, 1), 96);
  const Bytes near = written(randomRows(count, 8, 1), 96);
  EXPECT_LT(near.size() * 10, count * 6);  // of 4 bits, and what a block costs
  EXPECT_LE(far.size(), count + 20);
}

TEST(ProfileRows, CutOffAnywhereIsAnError) {
  const std::vector<int8_t> rows = randomRows(20 * 30, 9, 4);
  const Bytes bytes = written(rows, 30);
  for (size_t size = 0; size < bytes.size(); ++size) {
    ByteReader in(ByteSpan(bytes).first(size));
    RowBudget budget(bytes.size());
    std::vector<int8_t> got;
    EXPECT_EQ(readRows(in, 20, 30, budget, got).code(), ErrorCode::kCorrupt) << size;
  }
}

// A few bytes that claim to be many rows take no memory.
TEST(ProfileRows, NoMoreThanTheProfilesLengthMayHold) {
  const Bytes bytes = written(std::vector<int8_t>(size_t{512} * 16384, 3), 16384);  // 8 Mi
  ASSERT_LT(bytes.size(), 1000u);
  ByteReader in(bytes);
  RowBudget budget(bytes.size());
  std::vector<int8_t> got;
  EXPECT_EQ(readRows(in, 512, 16384, budget, got).code(), ErrorCode::kCorrupt);
  EXPECT_LT(got.capacity(), 100000u);
  ByteReader again(bytes);
  EXPECT_EQ(readRows(again, 512, UINT32_MAX, budget, got).code(), ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace spolia::codec
