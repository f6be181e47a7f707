// Quantised blocks: worked by hand from the layout, and both versions over blocks of any bits.
#include "engine/kernels/quant_blocks.h"

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

#include "engine/kernels/reference.h"
#include "tests/support/tiny_model.h"

namespace spolia::engine {
namespace {

constexpr WeightType kAllTypes[] = {WeightType::kF32,  WeightType::kF16,  WeightType::kBf16,
                                    WeightType::kQ8_0, WeightType::kQ4_0, WeightType::kQ4K,
                                    WeightType::kQ6K};

using Block = std::vector<std::byte>;

Block emptyBlock(WeightType type) {
  return Block(blockBytes(type));
}

void putHalf(Block& block, size_t at, float value) {
  const uint16_t bits = reference::narrowF16(value);
  std::memcpy(block.data() + at, &bits, 2);
}

std::vector<float> widened(WeightType type, const Block& blocks) {
  const size_t values = blocks.size() / blockBytes(type) * blockValues(type);
  std::vector<float> fast(values), slow(values);
  dequantize(type, blocks.data(), values, fast.data());
  reference::dequantize(type, blocks.data(), values, slow.data());
  EXPECT_EQ(fast, slow);
  return fast;
}

TEST(QuantBlocks, SizesAreThoseOfTheFiles) {
  EXPECT_EQ(storedBytes(WeightType::kF32, 96), 384u);
  EXPECT_EQ(storedBytes(WeightType::kBf16, 3), 6u);
  EXPECT_EQ(storedBytes(WeightType::kQ8_0, 64), 68u);
  EXPECT_EQ(storedBytes(WeightType::kQ4_0, 64), 36u);
  EXPECT_EQ(storedBytes(WeightType::kQ4K, 512), 288u);
  EXPECT_EQ(storedBytes(WeightType::kQ6K, 512), 420u);
}

TEST(QuantBlocks, Q8_0) {
  Block block = emptyBlock(WeightType::kQ8_0);
  putHalf(block, 0, -0.5f);
  block[2] = std::byte{0x80};
  block[2 + 31] = std::byte{127};
  const auto values = widened(WeightType::kQ8_0, block);
  EXPECT_EQ(values[0], 64.0f);
  EXPECT_EQ(values[31], -63.5f);
  EXPECT_EQ(values[5], 0.0f);
}

TEST(QuantBlocks, Q4_0) {
  Block block = emptyBlock(WeightType::kQ4_0);
  putHalf(block, 0, 2);
  block[2] = std::byte{0x0f};
  block[2 + 15] = std::byte{0x9a};
  const auto values = widened(WeightType::kQ4_0, block);
  EXPECT_EQ(values[0], 14.0f);
  EXPECT_EQ(values[16], -16.0f);
  EXPECT_EQ(values[15], 4.0f);
  EXPECT_EQ(values[31], 2.0f);
}

TEST(QuantBlocks, Q4K) {
  Block block = emptyBlock(WeightType::kQ4K);
  putHalf(block, 0, 0.25f);
  putHalf(block, 2, 0.125f);
  // Group 1: s = 63, m = 5. Group 6: s = 0b10'0011, m = 0b01'1100.
  block[4 + 1] = std::byte{63};
  block[4 + 5] = std::byte{5};
  block[4 + 10] = std::byte{0xc3};
  block[4 + 2] |= std::byte{0b10 << 6};
  block[4 + 6] |= std::byte{0b01 << 6};
  block[16 + 3] = std::byte{0x70};        // group 1 (high halves of the first 32), value 3
  block[16 + 96 + 31] = std::byte{0x0e};  // group 6 (low halves of the last 32), value 31
  const auto values = widened(WeightType::kQ4K, block);
  EXPECT_EQ(values[0], 0.0f);
  EXPECT_EQ(values[32 + 3], 0.25f * 63 * 7 - 0.125f * 5);
  EXPECT_EQ(values[32 + 4], -0.125f * 5);
  EXPECT_EQ(values[6 * 32 + 31], 0.25f * 35 * 14 - 0.125f * 28);
  EXPECT_EQ(values[6 * 32], -0.125f * 28);
  EXPECT_EQ(values[7 * 32 + 31], 0.0f);
}

TEST(QuantBlocks, Q6K) {
  Block block = emptyBlock(WeightType::kQ6K);
  putHalf(block, 208, 0.5f);
  for (size_t group = 0; group < 16; ++group) block[192 + group] = std::byte(group + 1);
  block[192 + 15] = std::byte{0x80};  // -128
  // Value 17 of the first quarter of the first half: 0b10'0110.
  block[17] = std::byte{0x06};
  block[128 + 17] = std::byte{0b10};
  // Value 30 of the last quarter of the second half: 0b01'1001.
  block[64 + 32 + 30] = std::byte{0x90};
  block[128 + 32 + 30] = std::byte{0b01 << 6};
  const auto values = widened(WeightType::kQ6K, block);
  EXPECT_EQ(values[17], 0.5f * 2 * (38 - 32));
  EXPECT_EQ(values[128 + 96 + 30], 0.5f * -128 * (25 - 32));
  EXPECT_EQ(values[128], 0.5f * 9 * -32);
}

TEST(QuantBlocks, AnyBitsAsTheReference) {
  test::Random random(31);
  for (const WeightType type : kAllTypes) {
    for (const size_t blocks : {1, 2, 7, 200}) {
      // One byte in front: nothing in a file is aligned.
      std::vector<std::byte> bytes(1 + blocks * blockBytes(type));
      for (std::byte& byte : bytes) byte = std::byte(random.below(256));
      const size_t values = blocks * blockValues(type);
      std::vector<float> fast(values), slow(values);
      dequantize(type, bytes.data() + 1, values, fast.data());
      reference::dequantize(type, bytes.data() + 1, values, slow.data());
      for (size_t i = 0; i < values; ++i) {
        if (std::isnan(slow[i])) {
          ASSERT_TRUE(std::isnan(fast[i])) << i;
        } else {
          ASSERT_EQ(std::bit_cast<uint32_t>(fast[i]), std::bit_cast<uint32_t>(slow[i])) << i;
        }
      }
    }
  }
}

TEST(QuantBlocks, EveryScale) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    Block block = emptyBlock(WeightType::kQ8_0);
    block[0] = std::byte(bits & 255), block[1] = std::byte(bits >> 8);
    block[2 + 7] = std::byte{1};
    std::array<float, 32> values;
    dequantize(WeightType::kQ8_0, block.data(), values.size(), values.data());
    const float expected = reference::widenF16(static_cast<uint16_t>(bits));
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(values[7])) << bits;
    } else {
      ASSERT_EQ(std::bit_cast<uint32_t>(values[7]), std::bit_cast<uint32_t>(expected)) << bits;
    }
  }
}

}  // namespace
}  // namespace spolia::engine
