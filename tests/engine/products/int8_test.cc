#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "engine/products/int8_panels.h"
#include "engine/products/products.h"
#include "tests/support/compare.h"
#include "tests/support/packed_weights.h"

namespace spolia::engine {
namespace {

TEST(Int8Panels, RowsAreWithinHalfAStep) {
  test::Random random(1);
  for (const size_t inputs : {1, 63, 64, 100, 256}) {
    const Matrix rows = random.matrix(70, inputs, 3);
    const WeightMatrix packed = WeightMatrix::inInt8(WeightMatrix(rows.view()));
    ASSERT_NE(packed.int8(), nullptr);
    std::vector<float> row(inputs);
    for (size_t output = 0; output < 70; ++output) {
      packed.copyRow(output, row.data());
      float largest = 0;
      for (size_t i = 0; i < inputs; ++i)
        largest = std::max(largest, std::fabs(rows.at(output, i)));
      for (size_t i = 0; i < inputs; ++i) {
        ASSERT_NEAR(row[i], rows.at(output, i), largest / 127 * 0.5001) << output << " " << i;
      }
    }
  }
}

TEST(Int8Panels, InputsAreWithinHalfAStepAndPadded) {
  test::Random random(2);
  for (const size_t n : {1, 15, 64, 77}) {
    const Matrix in = random.matrix(1, n, 5);
    std::vector<uint8_t> out(128, 7);
    const float scale = quantizeInputs(in.data(), n, out.data(), out.size());
    float largest = 0;
    for (size_t i = 0; i < n; ++i) largest = std::max(largest, std::fabs(in.data()[i]));
    EXPECT_FLOAT_EQ(scale, largest / 127);
    for (size_t i = 0; i < n; ++i) {
      ASSERT_NEAR(scale * (out[i] - 128), in.data()[i], scale * 0.5001f) << i;
    }
    for (size_t i = n; i < out.size(); ++i) ASSERT_EQ(out[i], 128);
  }
}

TEST(Int8Panels, RowsOfZerosAndNextToItStayZero) {
  for (const float value : {0.0f, 1e-42f}) {
    const std::vector<float> in(40, value);
    std::vector<uint8_t> out(64);
    EXPECT_EQ(quantizeInputs(in.data(), in.size(), out.data(), out.size()), 0.0f);
    for (const uint8_t byte : out) ASSERT_EQ(byte, 128);
  }
}

// The arithmetic is exact but for the last product of scales, so that a plain loop gives the same
// to a rounding or two.
TEST(Int8Products, EqualTheSameArithmeticInALoop) {
  test::Random random(3);
  for (const size_t m : {1, 2, 3, 7, 8, 9, 130, 600}) {
    for (const size_t k : {48, 64, 200}) {
      const size_t n = 150;
      const Matrix in = random.matrix(m, k, 2);
      const WeightMatrix weight = WeightMatrix::inInt8(WeightMatrix(random.matrix(n, k, 1).view()));
      const Matrix rows = weight.unpacked();
      Matrix expected(m, n);
      for (size_t r = 0; r < m; ++r) {
        std::vector<uint8_t> row(k);
        const float scale = quantizeInputs(in.row(r), k, row.data(), k);
        for (size_t c = 0; c < n; ++c) {
          double sum = 0;
          for (size_t i = 0; i < k; ++i) {
            sum += (row[i] - 128) * std::nearbyint(rows.at(c, i) / weight.int8()->scale(c));
          }
          expected.at(r, c) = static_cast<float>(sum * scale * weight.int8()->scale(c));
        }
      }
      ThreadPool pool(3);
      Matrix out = Matrix::zeroed(m, n);
      multiply(in.view(), weight, out.mutableView(), Accumulate::kReplace, pool);
      EXPECT_TRUE(test::closeTo(out.view(), expected.view(),
                                [&](size_t r, size_t c) {
                                  return std::fabs(expected.at(r, c)) * 4 * test::kEps + 1e-30;
                                }))
          << m << " " << k;
      multiply(in.view(), weight, out.mutableView(), Accumulate::kAdd, pool);
      for (size_t i = 0; i < m * n; ++i) expected.data()[i] *= 2;
      EXPECT_TRUE(test::closeTo(out.view(), expected.view(),
                                [&](size_t r, size_t c) {
                                  return std::fabs(expected.at(r, c)) * 5 * test::kEps + 1e-30;
                                }))
          << m << " " << k;
    }
  }
}

TEST(Int8Products, ARowDoesNotDependOnTheOthers) {
  test::Random random(4);
  const Matrix in = random.matrix(300, 96, 1);
  const WeightMatrix weight = WeightMatrix::inInt8(WeightMatrix(random.matrix(130, 96, 1).view()));
  ThreadPool pool(2);
  Matrix together(300, 130), alone(1, 130);
  multiply(in.view(), weight, together.mutableView(), Accumulate::kReplace, pool);
  for (const size_t r : {0, 7, 131, 299}) {
    multiply(in.view().rowRange(r, 1), weight, alone.mutableView(), Accumulate::kReplace, pool);
    EXPECT_TRUE(std::equal(alone.data(), alone.data() + 130, together.row(r))) << r;
  }
}

}  // namespace
}  // namespace spolia::engine
