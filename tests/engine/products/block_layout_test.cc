#include "engine/products/block_layout.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "engine/kernels/quant_blocks.h"
#include "tests/support/packed_weights.h"

namespace spolia::engine {
namespace {

TEST(BlockLayout, PanelsTakeWhatFilesTake) {
  EXPECT_EQ(blockLayout(WeightType::kQ8_0).tileBytes(), 64 * blockBytes(WeightType::kQ8_0));
  EXPECT_EQ(blockLayout(WeightType::kQ4_0).tileBytes(), 64 * blockBytes(WeightType::kQ4_0));
  EXPECT_EQ(blockLayout(WeightType::kQ6K).tileBytes(), 64 * blockBytes(WeightType::kQ6K));
  // Scales and minimums of 6 bits take a byte each.
  EXPECT_EQ(blockLayout(WeightType::kQ4K).tileBytes(), 64 * (blockBytes(WeightType::kQ4K) + 4));
}

// Of any bits, not aligned, in panels that are full and not.
TEST(BlockLayout, EveryRowComesBack) {
  test::Random random(61);
  for (const WeightType type : test::kBlockTypes) {
    for (const size_t outputs : {1, 63, 64}) {
      const size_t inputs = 2 * blockValues(type), rowBytes = storedBytes(type, inputs);
      std::vector<std::byte> rows(1 + outputs * rowBytes);
      for (std::byte& byte : rows) byte = std::byte(random.below(256));
      std::vector<std::byte> panel(2 * blockLayout(type).tileBytes(), std::byte{0x5a});
      packBlocks(type, rows.data() + 1, outputs, inputs, panel.data());
      std::vector<float> row(inputs), expected(inputs);
      for (size_t output = 0; output < 64; ++output) {
        copyBlockRow(type, panel.data(), output, inputs, row.data());
        if (output < outputs) {
          reference::dequantize(type, rows.data() + 1 + output * rowBytes, inputs, expected.data());
        } else {
          expected.assign(inputs, 0.0f);
        }
        for (size_t i = 0; i < inputs; ++i) {
          if (std::isnan(expected[i])) {
            ASSERT_TRUE(std::isnan(row[i])) << test::nameOf(type) << " " << output << " " << i;
          } else {
            ASSERT_EQ(row[i], expected[i]) << test::nameOf(type) << " " << output << " " << i;
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace spolia::engine
