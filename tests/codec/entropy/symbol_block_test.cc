#include "codec/entropy/symbol_block.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace spolia::codec {
namespace {

constexpr size_t kFrameBytes = 5;  // mode and length

std::vector<uint8_t> roundTrip(const std::vector<uint8_t>& symbols, size_t& size) {
  ByteWriter out;
  writeSymbolBlock(symbols, out);
  size = out.size();
  ByteReader in(out.view());
  ByteReader skipped(out.view());
  EXPECT_TRUE(skipSymbolBlock(skipped) && skipped.finished());
  SymbolReader reader;
  EXPECT_TRUE(reader.open(in, symbols.size()).ok());
  EXPECT_TRUE(in.finished());
  std::vector<uint8_t> back(symbols.size());
  reader.read(std::span(back).first(back.size() / 3));
  reader.read(std::span(back).subspan(back.size() / 3));
  EXPECT_TRUE(reader.finish().ok());
  return back;
}

TEST(SymbolBlock, PicksTheSmallestForm) {
  std::mt19937 random(1);
  size_t size = 0;
  const std::vector<uint8_t> constant(5000, 42);
  EXPECT_EQ(roundTrip(constant, size), constant);
  EXPECT_EQ(size, kFrameBytes + 1);
  std::vector<uint8_t> noise(5000);
  for (uint8_t& s : noise) s = static_cast<uint8_t>(random());
  EXPECT_EQ(roundTrip(noise, size), noise);
  EXPECT_EQ(size, kFrameBytes + noise.size());
  std::vector<uint8_t> skewed(5000);
  for (uint8_t& s : skewed) s = static_cast<uint8_t>(random() % 4);
  EXPECT_EQ(roundTrip(skewed, size), skewed);
  EXPECT_LT(size, skewed.size() / 3);
  const std::vector<uint8_t> one(1, 7);
  EXPECT_EQ(roundTrip(one, size), one);
}

TEST(SymbolBlock, RefusesWhatDoesNotFit) {
  SymbolReader reader;
  const auto open = [&](std::initializer_list<int> bytes, uint64_t count) {
    ByteWriter out;
    for (int b : bytes) out.u8(static_cast<uint8_t>(b));
    ByteReader in(out.view());
    return reader.open(in, count).code();
  };
  EXPECT_EQ(open({0, 2, 0, 0, 0, 9, 9}, 2), ErrorCode::kOk);
  EXPECT_EQ(open({0, 2, 0, 0, 0, 9, 9}, 3), ErrorCode::kCorrupt);
  EXPECT_EQ(open({0, 2, 0, 0, 0, 9}, 2), ErrorCode::kCorrupt);
  EXPECT_EQ(open({1, 2, 0, 0, 0, 9, 9}, 2), ErrorCode::kCorrupt);
  EXPECT_EQ(open({3, 1, 0, 0, 0, 9}, 1), ErrorCode::kCorrupt);
  EXPECT_EQ(open({2, 1, 0, 0, 0, 9}, 1), ErrorCode::kCorrupt);
  EXPECT_EQ(open({}, 1), ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace spolia::codec
