#include "engine/products/weight_matrix.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "engine/kernels/quant_blocks.h"
#include "engine/kernels/reference.h"
#include "engine/kernels/transpose.h"
#include "tests/support/packed_weights.h"

namespace spolia::engine {
namespace {

// A value of a file's rows, read without the code under test.
float valueAt(WeightType type, const std::vector<std::byte>& rows, size_t at) {
  if (type == WeightType::kF32) {
    float value = 0;
    std::memcpy(&value, rows.data() + at * sizeof value, sizeof value);
    return value;
  }
  if (blockValues(type) == 1) {
    uint16_t bits = 0;
    std::memcpy(&bits, rows.data() + at * sizeof bits, sizeof bits);
    return type == WeightType::kF16 ? reference::widenF16(bits) : reference::widenBf16(bits);
  }
  const size_t values = blockValues(type);
  std::vector<float> block(values);
  reference::dequantize(type, rows.data() + storedBytes(type, at / values * values), values,
                        block.data());
  return block[at % values];
}

class WeightTypes : public testing::TestWithParam<WeightType> {};

TEST_P(WeightTypes, PackingKeepsEveryValue) {
  const WeightType type = GetParam();
  const size_t block = blockValues(type);
  test::Random random(1);
  for (const size_t outputs : {1, 63, 64, 65, 200}) {
    for (const size_t inputs : {block, 3 * block, block == 1 ? 80 : block}) {
      const std::vector<std::byte> rows = test::weightRows(type, outputs, inputs, random);
      const WeightMatrix packed(type, rows.data(), outputs, inputs);
      EXPECT_EQ(packed.bytes(), WeightMatrix::bytesFor(type, outputs, inputs));
      const Matrix wide = packed.unpacked();
      std::vector<float> row(inputs), scratch(inputs * WeightMatrix::kPanelOutputs);
      for (size_t output = 0; output < outputs; ++output) {
        packed.copyRow(output, row.data());
        const float* panel = packed.panel(output / 64, scratch.data());
        for (size_t input = 0; input < inputs; ++input) {
          const float expected = valueAt(type, rows, output * inputs + input);
          ASSERT_EQ(wide.at(output, input), expected);
          ASSERT_EQ(row[input], expected);
          ASSERT_EQ(panel[input * 64 + output % 64], expected) << output << " " << input;
        }
      }
    }
  }
}

// oneDNN reads whole panels: outputs that are not there have to be zero.
TEST_P(WeightTypes, PanelsEndWithZeros) {
  const WeightType type = GetParam();
  const size_t inputs = blockValues(type) * 2;
  test::Random random(2);
  const WeightMatrix packed = test::packedWeights(type, 70, inputs, random);
  std::vector<float> scratch(inputs * 64, 1.0f);
  const float* panel = packed.panel(1, scratch.data());
  for (size_t input = 0; input < inputs; ++input) {
    for (size_t output = 6; output < 64; ++output) ASSERT_EQ(panel[input * 64 + output], 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Types, WeightTypes, testing::ValuesIn(test::kWeightTypes),
                         [](const auto& type) { return test::nameOf(type.param); });

TEST(Transpose, EveryValueIsInItsPlace) {
  test::Random random(3);
  for (const auto& [rows, columns] : {std::pair{1, 1}, {4, 4}, {64, 32}, {5, 7}, {8, 3}, {3, 64}}) {
    const auto m = static_cast<size_t>(rows), n = static_cast<size_t>(columns);
    const Matrix in = random.matrix(m, n, 1);
    std::vector<float> out(m * n);
    transpose(in.data(), m, n, out.data());
    for (size_t r = 0; r < m; ++r) {
      for (size_t c = 0; c < n; ++c) ASSERT_EQ(out[c * m + r], in.at(r, c)) << r << " " << c;
    }
  }
}

}  // namespace
}  // namespace spolia::engine
