// Comparing f32 results with a reference: the tolerance is computed by the caller from element type
// and accumulation order, and the worst cell is what a failure shows.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <span>

#include "engine/kernels/matrix.h"

namespace spolia::engine::test {

// Unit roundoff of f32.
inline constexpr double kEps = 0x1p-24;

// Bound of the relative error of a sum of n products in f32 in any order: n eps / (1 - n eps).
inline double sumError(size_t n) {
  const double bound = static_cast<double>(n) * kEps;
  return bound / (1.0 - bound);
}

// Success when every |actual - expected| is at most tolerance(row, column).
inline testing::AssertionResult closeTo(const MatrixView& actual, const MatrixView& expected,
                                        const std::function<double(size_t, size_t)>& tolerance) {
  if (actual.rows() != expected.rows() || actual.columns() != expected.columns()) {
    return testing::AssertionFailure() << "shapes differ";
  }
  double worst = 0;
  size_t worstRow = 0, worstColumn = 0;
  for (size_t r = 0; r < actual.rows(); ++r) {
    for (size_t c = 0; c < actual.columns(); ++c) {
      const double error = std::fabs(static_cast<double>(actual.at(r, c)) - expected.at(r, c));
      const double ratio = error / tolerance(r, c);
      // Also when the ratio is NaN.
      if (!(ratio <= worst)) worst = ratio, worstRow = r, worstColumn = c;
      if (std::isnan(ratio)) break;
    }
  }
  if (worst <= 1.0) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "worst cell [" << worstRow << "][" << worstColumn
                                     << "]: " << actual.at(worstRow, worstColumn) << ", expected "
                                     << expected.at(worstRow, worstColumn) << ", error is " << worst
                                     << " times the tolerance " << tolerance(worstRow, worstColumn);
}

// The same with one tolerance for all cells.
inline testing::AssertionResult closeTo(const MatrixView& actual, const MatrixView& expected,
                                        double tolerance) {
  return closeTo(actual, expected, [&](size_t, size_t) { return tolerance; });
}

inline MatrixView asRow(std::span<const float> values) {
  return {values.data(), 1, values.size()};
}

}  // namespace spolia::engine::test
