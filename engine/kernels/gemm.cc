#include "engine/kernels/gemm.h"

#include <cblas.h>

#include <mutex>

#include "codec/base/check.h"

namespace spolia::engine {

namespace {

// OpenBLAS would start threads of its own beside our pool.
void useOneBlasThread() {
  static std::once_flag once;
  std::call_once(once, [] { openblas_set_num_threads(1); });
}

}  // namespace

void multiplyAlone(const MatrixView& in, const MatrixView& weight, const MutableMatrixView& out,
                   Accumulate accumulate) {
  SPOLIA_DCHECK(in.columns() == weight.columns());
  SPOLIA_DCHECK(out.rows() == in.rows() && out.columns() == weight.rows());
  if (out.empty()) return;
  useOneBlasThread();
  const float beta = accumulate == Accumulate::kAdd ? 1.0f : 0.0f;
  const auto size = [](size_t n) { return static_cast<blasint>(n); };
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, size(in.rows()), size(weight.rows()),
              size(in.columns()), 1.0f, in.data(), size(in.stride()), weight.data(),
              size(weight.stride()), beta, out.data(), size(out.stride()));
}

}  // namespace spolia::engine
