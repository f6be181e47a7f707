#include "engine/products/products.h"

#include <gtest/gtest.h>

#include <cmath>
#include <tuple>

#include "engine/kernels/reference.h"
#include "tests/support/compare.h"
#include "tests/support/packed_weights.h"

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

struct Shape {
  WeightType type;
  size_t m, n, k;
};
void PrintTo(const Shape& shape, std::ostream* out) {
  *out << test::nameOf(shape.type) << "_" << shape.m << "_" << shape.n << "_" << shape.k;
}

// Every type over shapes that its blocks allow, about every border there is: single rows, few rows
// and the first that is not few, tiles of rows that are full and not, panels that are full and not.
std::vector<Shape> shapes() {
  std::vector<Shape> out;
  for (const WeightType type : test::kWeightTypes) {
    const size_t block = blockValues(type);
    for (const auto& [m, n, k] : {std::tuple{1, 1, 1},
                                  {1, 300, 77},
                                  {1, 640, 256},
                                  {2, 65, 33},
                                  {3, 7, 129},
                                  {8, 70, 64},
                                  {9, 100, 64},
                                  {17, 200, 50},
                                  {64, 64, 64},
                                  {128, 96, 48},
                                  {130, 96, 31},
                                  {300, 70, 40},
                                  {600, 130, 9}}) {
      out.push_back({type, size_t(m), size_t(n), (size_t(k) + block - 1) / block * block});
    }
  }
  return out;
}

class ProductShapes : public testing::TestWithParam<Shape> {};

TEST_P(ProductShapes, EqualReference) {
  const auto [type, m, n, k] = GetParam();
  test::Random random(m * 1000003 + n * 1009 + k);
  const WeightMatrix weight = test::packedWeights(type, n, k, random);
  const Matrix in = random.matrix(m, k, 1), rows = weight.unpacked();
  const Matrix expected = reference::multiply(in.view(), rows.view());
  for (const Rounding rounding : {Rounding::kFast, Rounding::kInvariant}) {
    for (unsigned threads : {1u, 3u}) {
      ThreadPool pool(threads);
      Matrix out(m, n);
      multiply(in.view(), weight, out.mutableView(), Accumulate::kReplace, pool, rounding);
      EXPECT_TRUE(productClose(out.view(), expected.view(), in.view(), rows.view()))
          << threads << " threads";
    }
  }
}

TEST_P(ProductShapes, AddToWhatIsThere) {
  const auto [type, m, n, k] = GetParam();
  test::Random random(m + n + k);
  const WeightMatrix weight = test::packedWeights(type, n, k, random);
  const Matrix in = random.matrix(m, k, 1), before = random.matrix(m, n, 1);
  const Matrix rows = weight.unpacked();
  Matrix expected = reference::multiply(in.view(), rows.view());
  for (size_t i = 0; i < m * n; ++i) expected.data()[i] += before.data()[i];
  ThreadPool pool(2);
  Matrix out = Matrix::copyOf(before.view());
  multiply(in.view(), weight, out.mutableView(), Accumulate::kAdd, pool);
  EXPECT_TRUE(closeTo(out.view(), expected.view(), test::sumError(k + 2) * (2 * double(k) + 1)));
}

INSTANTIATE_TEST_SUITE_P(Shapes, ProductShapes, testing::ValuesIn(shapes()),
                         testing::PrintToStringParamName());

// Several products of one input, into column ranges of wider matrices: neighbours stay untouched.
TEST(Products, SeveralIntoPartsOfAMatrix) {
  test::Random random(3);
  for (size_t m : {1, 4, 90}) {
    const Matrix in = random.matrix(m, 48, 1);
    const Matrix first = random.matrix(80, 48, 1), second = random.matrix(24, 48, 1);
    const WeightMatrix firstPacked(first.view()), secondPacked(second.view());
    Matrix out = Matrix::zeroed(m, 120);
    const Product products[] = {
        {firstPacked, out.mutableView().columnRange(4, 80)},
        {secondPacked, out.mutableView().columnRange(90, 24)},
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

// Rows that lie apart are read where they are.
TEST(Products, OfPartsOfWiderRows) {
  test::Random random(5);
  for (size_t m : {1, 5, 40}) {
    const Matrix wide = random.matrix(m, 100, 1), rows = random.matrix(70, 48, 1);
    const Matrix narrow = Matrix::copyOf(wide.view().columnRange(20, 48));
    const WeightMatrix weight(rows.view());
    ThreadPool pool(2);
    Matrix apart(m, 70), together(m, 70);
    multiply(wide.view().columnRange(20, 48), weight, apart.mutableView(), Accumulate::kReplace,
             pool);
    multiply(narrow.view(), weight, together.mutableView(), Accumulate::kReplace, pool);
    EXPECT_TRUE(std::equal(apart.data(), apart.data() + m * 70, together.data())) << m;
  }
}

// What batches of decoding rest on: a row has the same bits whoever is computed with it.
TEST(Products, AFewRowsDoNotDependOnEachOtherNorOnThreads) {
  for (const WeightType type : test::kWeightTypes) {
    test::Random random(4);
    const Matrix in = random.matrix(8, 512, 1);
    const WeightMatrix weight = test::packedWeights(type, 777, 512, random);
    ThreadPool one(1), four(4);
    Matrix together(8, 777), alone(1, 777);
    for (size_t rows = 1; rows <= 8; ++rows) {
      multiply(in.view().rowRange(0, rows), weight, together.mutableView().rowRange(0, rows),
               Accumulate::kReplace, four);
      for (size_t r = 0; r < rows; ++r) {
        multiply(in.view().rowRange(r, 1), weight, alone.mutableView(), Accumulate::kReplace, one);
        ASSERT_TRUE(std::equal(alone.data(), alone.data() + 777, together.row(r)))
            << test::nameOf(type) << ", row " << r << " of " << rows;
      }
    }
  }
}

TEST(Products, InvariantRowsAreTheSameAtEveryPlace) {
  ThreadPool pool(2);
  for (const size_t k : {7u, 96u, 192u, 512u, 1536u}) {
    for (const size_t n : {5u, 64u, 160u, 256u, 700u}) {
      test::Random random(k + n);
      const WeightMatrix weight(random.matrix(n, k, 1).view());
      const Matrix row = random.matrix(1, k, 1);
      Matrix in(25, k), out(in.rows(), n), alone(1, n);
      for (size_t r = 0; r < in.rows(); ++r) std::copy_n(row.row(0), k, in.row(r));
      multiply(in.view(), weight, out.mutableView(), Accumulate::kReplace, pool,
               Rounding::kInvariant);
      multiply(row.view(), weight, alone.mutableView(), Accumulate::kReplace, pool,
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
