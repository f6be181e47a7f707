#include "engine/profile/symmetric_matrix.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/tiny_model.h"

namespace spolia::engine {
namespace {

constexpr size_t kSize = 23;

// a * transpose(a), which is symmetric and positive.
Matrix positive(uint64_t seed) {
  test::Random random(seed);
  const Matrix a = random.matrix(kSize, kSize + 5, 1);
  Matrix out(kSize, kSize);
  for (size_t i = 0; i < kSize; ++i) {
    for (size_t j = 0; j < kSize; ++j) {
      double sum = 0;
      for (size_t k = 0; k < a.columns(); ++k) sum += double{a.at(i, k)} * double{a.at(j, k)};
      out.at(i, j) = static_cast<float>(sum);
    }
  }
  return out;
}

TEST(SymmetricMatrix, EigenvectorsAreRowsInAscendingOrder) {
  const Matrix a = positive(1);
  Matrix vectors = Matrix::copyOf(a.view());
  const std::vector<float> values = decompose(vectors).value();
  EXPECT_TRUE(std::is_sorted(values.begin(), values.end()));
  for (size_t v = 0; v < kSize; ++v) {
    double length = 0;
    for (size_t i = 0; i < kSize; ++i) {
      double product = 0;
      for (size_t j = 0; j < kSize; ++j) product += double{a.at(i, j)} * double{vectors.at(v, j)};
      EXPECT_NEAR(product, double{values[v]} * double{vectors.at(v, i)}, 2e-4);
      length += double{vectors.at(v, i)} * double{vectors.at(v, i)};
    }
    EXPECT_NEAR(length, 1, 1e-5);
  }
}

TEST(SymmetricMatrix, SolvesForEachRow) {
  const Matrix a = positive(2);
  test::Random random(3);
  const Matrix x = random.matrix(4, kSize, 1);
  Matrix b(4, kSize);
  for (size_t r = 0; r < 4; ++r) {
    for (size_t i = 0; i < kSize; ++i) {
      double sum = 0;
      for (size_t j = 0; j < kSize; ++j) sum += double{a.at(i, j)} * double{x.at(r, j)};
      b.at(r, i) = static_cast<float>(sum);
    }
  }
  Matrix used = Matrix::copyOf(a.view());
  ASSERT_TRUE(solveRows(used, 0, b).ok());
  for (size_t r = 0; r < 4; ++r) {
    for (size_t i = 0; i < kSize; ++i) EXPECT_NEAR(b.at(r, i), x.at(r, i), 2e-2);
  }
}

TEST(SymmetricMatrix, ARidgeMakesSingularOnesSolvable) {
  Matrix singular = Matrix::zeroed(3, 3);
  singular.at(0, 0) = 1;
  Matrix b = Matrix::zeroed(1, 3);
  b.at(0, 0) = 1;
  Matrix copy = Matrix::copyOf(singular.view());
  EXPECT_EQ(solveRows(copy, 0, b).code(), ErrorCode::kInternal);
  b.at(0, 0) = 1;
  ASSERT_TRUE(solveRows(singular, 1e-3, b).ok());
  EXPECT_NEAR(b.at(0, 0), 1, 1e-3);
}

}  // namespace
}  // namespace spolia::engine
