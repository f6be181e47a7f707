#include "engine/products/block_panels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "engine/kernels/quant_blocks.h"
#include "engine/products/block_layout.h"
#include "tests/support/compare.h"
#include "tests/support/packed_weights.h"

namespace spolia::engine {
namespace {

class BlockTypes : public testing::TestWithParam<WeightType> {
 protected:
  static constexpr size_t kTiles = 3;

  const WeightType type_ = GetParam();
  const size_t inputs_ = kTiles * blockValues(type_);
  test::Random random_{71};
  const std::vector<std::byte> rows_ = test::weightRows(type_, 64, inputs_, random_);
  std::vector<std::byte> panel_ = [this] {
    std::vector<std::byte> panel(kTiles * blockLayout(type_).tileBytes());
    packBlocks(type_, rows_.data(), 64, inputs_, panel.data());
    return panel;
  }();

  // A row of the file, read without the code under test.
  std::vector<float> row(size_t output) const {
    std::vector<float> out(inputs_);
    reference::dequantize(type_, rows_.data() + output * storedBytes(type_, inputs_), inputs_,
                          out.data());
    return out;
  }
  double largestMinimum(size_t output) const {
    if (type_ != WeightType::kQ4K) return 0;
    double largest = 0;
    for (const float value : row(output)) largest = std::max(largest, -double{value});
    return largest;
  }
};

TEST_P(BlockTypes, SumsAreThoseOfTheValues) {
  for (const size_t m : {1, 2, 3, 5, 8}) {
    const Matrix in = random_.matrix(m, inputs_, 1), before = random_.matrix(m, 64, 1);
    Matrix sums = Matrix::copyOf(before.view());
    addBlockPanel(in.view(), type_, panel_.data(), sums.data());
    for (size_t output = 0; output < 64; ++output) {
      const std::vector<float> weights = row(output);
      // A scale times q and a minimum are summed apart: neither is larger than the value and twice
      // the minimum.
      const double apart = 2 * largestMinimum(output);
      for (size_t r = 0; r < m; ++r) {
        double exact = before.at(r, output), magnitude = std::fabs(exact);
        for (size_t i = 0; i < inputs_; ++i) {
          exact += double{in.at(r, i)} * weights[i];
          magnitude += std::fabs(in.at(r, i)) * (std::fabs(double{weights[i]}) + apart);
        }
        ASSERT_NEAR(sums.at(r, output), exact, test::sumError(inputs_ + 4) * magnitude)
            << m << " rows, row " << r << ", output " << output;
      }
    }
  }
}

// A batch has the bits of its rows alone.
TEST_P(BlockTypes, RowsDoNotDependOnTheirNumber) {
  const Matrix in = random_.matrix(15, inputs_, 1);
  std::vector<float> together(15 * 64, 0.0f);
  addBlockPanel(in.view(), type_, panel_.data(), together.data());
  for (size_t r = 0; r < 15; ++r) {
    std::vector<float> alone(64, 0.0f);
    addBlockPanel(in.view().rowRange(r, 1), type_, panel_.data(), alone.data());
    EXPECT_EQ(std::memcmp(alone.data(), together.data() + r * 64, 64 * sizeof(float)), 0) << r;
  }
}

TEST_P(BlockTypes, WidensEveryValue) {
  std::vector<float> values(inputs_ * 64);
  widenBlockPanel(type_, panel_.data(), inputs_, values.data());
  for (size_t output = 0; output < 64; ++output) {
    const std::vector<float> expected = row(output);
    for (size_t i = 0; i < inputs_; ++i) {
      ASSERT_EQ(values[i * 64 + output], expected[i]) << output << " " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Types, BlockTypes, testing::ValuesIn(test::kBlockTypes),
                         [](const auto& type) { return test::nameOf(type.param); });

}  // namespace
}  // namespace spolia::engine
