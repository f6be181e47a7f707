#include "engine/profile/symmetric_matrix.h"

#include <cstddef>
#include <string>

// LAPACK, of which OpenBLAS has no header here. Lengths of characters come last.
extern "C" {
// Eigenvalues, ascending, and eigenvectors of a symmetric matrix, which they replace.
void ssyevd_(const char* job, const char* part, const int* n, float* a, const int* lda,
             float* values, float* work, const int* workSize, int* integerWork,
             const int* integerWorkSize, int* info, size_t jobLength, size_t partLength);
// Solves by Cholesky's decomposition; solutions replace the right-hand sides, which are columns.
void sposv_(const char* part, const int* n, const int* count, float* a, const int* lda, float* b,
            const int* ldb, int* info, size_t partLength);
}

namespace spolia::engine {

Matrix turned(const MatrixView& in) {
  Matrix out(in.columns(), in.rows());
  for (size_t r = 0; r < in.rows(); ++r) {
    for (size_t c = 0; c < in.columns(); ++c) out.row(c)[r] = in.row(r)[c];
  }
  return out;
}

Result<std::vector<float>> decompose(Matrix& symmetric) {
  const int n = static_cast<int>(symmetric.rows());
  std::vector<float> values(symmetric.rows());
  float workSize = 0;
  int integerWorkSize = 0;
  int info = 0;
  const int ask = -1;
  ssyevd_("V", "L", &n, symmetric.data(), &n, values.data(), &workSize, &ask, &integerWorkSize,
          &ask, &info, 1, 1);
  // The size came as a float, which may have been rounded down.
  std::vector<float> work(static_cast<size_t>(workSize * 1.001f) + 1);
  std::vector<int> integerWork(static_cast<size_t>(integerWorkSize));
  const int given = static_cast<int>(work.size());
  ssyevd_("V", "L", &n, symmetric.data(), &n, values.data(), work.data(), &given,
          integerWork.data(), &integerWorkSize, &info, 1, 1);
  if (info != 0) return Status(ErrorCode::kInternal, "ssyevd: " + std::to_string(info));
  return values;
}

Status solveRows(Matrix& a, double ridge, Matrix& b) {
  const int n = static_cast<int>(a.rows());
  const int count = static_cast<int>(b.rows());
  double diagonal = 0;
  for (size_t i = 0; i < a.rows(); ++i) diagonal += static_cast<double>(a.at(i, i)) / n;
  for (size_t i = 0; i < a.rows(); ++i) a.at(i, i) += static_cast<float>(ridge * diagonal);
  int info = 0;
  // Row by row in memory is column by column to LAPACK.
  sposv_("L", &n, &count, a.data(), &n, b.data(), &n, &info, 1);
  if (info != 0) return Status(ErrorCode::kInternal, "sposv: " + std::to_string(info));
  return {};
}

}  // namespace spolia::engine
