#include "engine/kernels/gemm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <tuple>

#include "engine/kernels/reference.h"
#include "tests/support/compare.h"
#include "tests/support/tiny_model.h"

namespace spolia::engine {
namespace {

using test::closeTo;

// Error bound of a cell: sumError(k) * sum |a b|, whatever the order; plus one rounding of what is
// added to.
testing::AssertionResult productClose(const MatrixView& actual, const MatrixView& expected,
                                      const MatrixView& in, const MatrixView& weight) {
  return closeTo(actual, expected, [&](size_t r, size_t c) {
    double magnitude = 0;
    for (size_t i = 0; i < in.columns(); ++i) {
      magnitude += std::fabs(double{in.at(r, i)} * weight.at(c, i));
    }
    return test::sumError(in.columns() + 2) * (magnitude + 2 * std::fabs(expected.at(r, c)));
  });
}

class GemmShapes : public testing::TestWithParam<std::tuple<size_t, size_t, size_t>> {};

TEST_P(GemmShapes, EqualsReference) {
  const auto [m, n, k] = GetParam();
  test::Random random(m * 1000003 + n * 1009 + k);
  const Matrix in = random.matrix(m, k, 1), weight = random.matrix(n, k, 1);
  const Matrix expected = reference::multiply(in.view(), weight.view());
  for (unsigned threads : {1u, 2u, 3u}) {
    ThreadPool pool(threads);
    Matrix out(m, n);
    multiply(in.view(), weight.view(), out.mutableView(), Accumulate::kReplace, pool);
    EXPECT_TRUE(productClose(out.view(), expected.view(), in.view(), weight.view()))
        << threads << " threads";
  }
}

TEST_P(GemmShapes, AddsToWhatIsThere) {
  const auto [m, n, k] = GetParam();
  test::Random random(m + n + k);
  const Matrix in = random.matrix(m, k, 1), weight = random.matrix(n, k, 1);
  const Matrix before = random.matrix(m, n, 1);
  Matrix expected = reference::multiply(in.view(), weight.view());
  for (size_t i = 0; i < m * n; ++i) expected.data()[i] += before.data()[i];
  ThreadPool pool(2);
  Matrix out = Matrix::copyOf(before.view());
  multiply(in.view(), weight.view(), out.mutableView(), Accumulate::kAdd, pool);
  EXPECT_TRUE(closeTo(out.view(), expected.view(), test::sumError(k + 2) * (double(k) + 1)));
}

INSTANTIATE_TEST_SUITE_P(Shapes, GemmShapes,
                         testing::Values(std::tuple{1, 1, 1}, std::tuple{1, 300, 77},
                                         std::tuple{1, 640, 256}, std::tuple{2, 65, 33},
                                         std::tuple{3, 7, 129}, std::tuple{5, 100, 64},
                                         std::tuple{17, 200, 50}, std::tuple{64, 64, 64},
                                         std::tuple{130, 96, 31}, std::tuple{600, 70, 40},
                                         std::tuple{1100, 130, 9}));

// Several products of one input, into column ranges of wider matrices: neighbours stay untouched.
TEST(Gemm, SeveralProductsIntoPartsOfAMatrix) {
  test::Random random(3);
  for (size_t m : {1, 4, 90}) {
    const Matrix in = random.matrix(m, 48, 1);
    const Matrix first = random.matrix(80, 48, 1), second = random.matrix(24, 48, 1);
    Matrix out = Matrix::zeroed(m, 120);
    const Product products[] = {
        {first.view(), out.mutableView().columnRange(4, 80)},
        {second.view(), out.mutableView().columnRange(90, 24)},
    };
    ThreadPool pool(2);
    multiply(in.view(), products, Accumulate::kReplace, pool);
    const MatrixView got = out.view();
    EXPECT_TRUE(productClose(got.columnRange(4, 80),
                             reference::multiply(in.view(), first.view()).view(), in.view(),
                             first.view()));
    EXPECT_TRUE(productClose(got.columnRange(90, 24),
                             reference::multiply(in.view(), second.view()).view(), in.view(),
                             second.view()));
    for (size_t r = 0; r < m; ++r) {
      for (size_t c : {0, 3, 84, 89, 114, 119}) EXPECT_EQ(out.at(r, c), 0) << r << " " << c;
    }
  }
}

TEST(Gemm, OneRowDoesNotDependOnThreads) {
  test::Random random(4);
  const Matrix in = random.matrix(1, 500, 1), weight = random.matrix(777, 500, 1);
  Matrix alone(1, 777), shared(1, 777);
  ThreadPool one(1), four(4);
  multiply(in.view(), weight.view(), alone.mutableView(), Accumulate::kReplace, one);
  multiply(in.view(), weight.view(), shared.mutableView(), Accumulate::kReplace, four);
  for (size_t c = 0; c < 777; ++c) ASSERT_EQ(alone.at(0, c), shared.at(0, c)) << c;
}

// The place of a row in its tile must not matter to its bits.
TEST(Gemm, InvariantRowsAreTheSameAtEveryPlace) {
  ThreadPool pool(2);
  for (const size_t k : {7u, 96u, 192u, 512u, 1536u}) {
    for (const size_t n : {5u, 64u, 160u, 256u, 700u}) {
      test::Random random(k + n);
      const Matrix weight = random.matrix(n, k, 1), row = random.matrix(1, k, 1);
      Matrix in(3 * kInvariantRows + 1, k), out(in.rows(), n), alone(1, n);
      for (size_t r = 0; r < in.rows(); ++r) std::copy_n(row.row(0), k, in.row(r));
      multiply(in.view(), weight.view(), out.mutableView(), Accumulate::kReplace, pool,
               Rounding::kInvariant);
      multiply(row.view(), weight.view(), alone.mutableView(), Accumulate::kReplace, pool,
               Rounding::kInvariant);
      for (size_t r = 0; r < in.rows(); ++r) {
        ASSERT_TRUE(std::equal(out.row(r), out.row(r) + n, alone.row(0)))
            << "row " << r << ", k " << k << ", n " << n;
      }
    }
  }
}

}  // namespace
}  // namespace spolia::engine
