#include "bench/codec/baselines/pca.h"

#include <algorithm>
#include <cstddef>

#include "engine/kernels/gemm.h"
#include "engine/profile/symmetric_matrix.h"

namespace spolia::bench {

using engine::decompose;
using engine::Matrix;
using engine::turned;

namespace {

// [token][column] less the mean.
Matrix centred(std::span<const float> values, const std::vector<float>& mean) {
  Matrix out(values.size() / mean.size(), mean.size());
  for (size_t t = 0; t < out.rows(); ++t) {
    const float* in = values.data() + t * mean.size();
    for (size_t c = 0; c < mean.size(); ++c) out.row(t)[c] = in[c] - mean[c];
  }
  return out;
}

}  // namespace

Result<Pca> Pca::fit(std::span<const KvSample> samples, const KvShape& shape) {
  const size_t columns = shape.columns();
  if (columns > kMostColumns) {
    return Status(ErrorCode::kUnsupported, std::to_string(columns) + " columns, at most " +
                                               std::to_string(kMostColumns) + " are supported");
  }
  Pca out;
  std::vector<double> sums(columns);
  size_t tokens = 0;
  for (const KvSample& sample : samples) {
    for (size_t i = 0; i < sample.values.size(); ++i) sums[i % columns] += sample.values[i];
    tokens += sample.values.size() / columns;
  }
  if (tokens == 0) return Status(ErrorCode::kInvalidArgument, "no samples to learn from");
  for (const double sum : sums) {
    out.mean_.push_back(static_cast<float>(sum / static_cast<double>(tokens)));
  }
  Matrix covariance = Matrix::zeroed(columns, columns);
  for (const KvSample& sample : samples) {
    const Matrix byColumn = turned(centred(sample.values, out.mean_).view());
    engine::multiplyAlone(byColumn.view(), byColumn.view(), covariance.mutableView(),
                          engine::Accumulate::kAdd);
  }
  SPOLIA_ASSIGN_OR_RETURN(const std::vector<float> values, decompose(covariance));
  // The rows as LAPACK left them are its columns, one for each eigenvector.
  out.basis_ = Matrix(columns, columns);
  for (size_t i = 0; i < columns; ++i) {
    const size_t from = columns - 1 - i;
    out.variances_.push_back(std::max(0.0f, values[from]) / static_cast<float>(tokens));
    std::ranges::copy_n(covariance.row(from), static_cast<ptrdiff_t>(columns), out.basis_.row(i));
  }
  out.columns_ = turned(out.basis_.view());
  return out;
}

Matrix Pca::project(std::span<const float> values, size_t components) const {
  const Matrix rows = centred(values, mean_);
  Matrix out(rows.rows(), components);
  if (components == 0) return out;
  engine::multiplyAlone(rows.view(), basis_.view().rowRange(0, components), out.mutableView(),
                        engine::Accumulate::kReplace);
  return out;
}

std::vector<float> Pca::restore(const Matrix& coefficients) const {
  std::vector<float> out(coefficients.rows() * columns());
  for (size_t i = 0; i < out.size(); ++i) out[i] = mean_[i % columns()];
  if (coefficients.columns() == 0) return out;
  engine::multiplyAlone(coefficients.view(), columns_.view().columnRange(0, coefficients.columns()),
                        engine::MutableMatrixView(out.data(), coefficients.rows(), columns()),
                        engine::Accumulate::kAdd);
  return out;
}

}  // namespace spolia::bench
