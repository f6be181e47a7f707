#include "engine/kernels/gemm.h"

#include <cblas.h>

#include <algorithm>
#include <mutex>

namespace spolia::engine {
namespace {

// A block of rows below this wastes the packing of W (out * in values moved for 2 * rows times as
// many flops); above it the packing costs under 1 %.
constexpr size_t kTallRows = 512;
// Smallest block of W's rows worth a task: a multiple of every OpenBLAS register tile.
constexpr size_t kOutBlock = 64;

size_t roundUp(size_t value, size_t step) {
  return (value + step - 1) / step * step;
}

void block(const float* x, size_t rows, size_t in, const float* w, size_t out, float* y,
           size_t yStride, Output output) {
  const float beta = output == Output::kAdd ? 1.0f : 0.0f;
  if (rows == 1) {
    cblas_sgemv(CblasRowMajor, CblasNoTrans, static_cast<int>(out), static_cast<int>(in), 1.0f, w,
                static_cast<int>(in), x, 1, beta, y, 1);
    return;
  }
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, static_cast<int>(rows),
              static_cast<int>(out), static_cast<int>(in), 1.0f, x, static_cast<int>(in), w,
              static_cast<int>(in), beta, y, static_cast<int>(yStride));
}

}  // namespace

void multiplyTransposed(ThreadPool& pool, const float* x, size_t rows, const MatrixView& w,
                        float* y, Output output) {
  static std::once_flag once;
  std::call_once(once, [] { openblas_set_num_threads(1); });
  if (rows == 0 || w.rows == 0) return;
  const size_t out = w.rows, in = w.columns;
  const size_t tasks = 2 * pool.threads();
  if (rows >= kTallRows && pool.threads() > 1) {
    const size_t step = std::max<size_t>(kTallRows / 2, roundUp((rows + tasks - 1) / tasks, 16));
    pool.parallelFor((rows + step - 1) / step, [&](size_t i) {
      const size_t begin = i * step, count = std::min(step, rows - begin);
      block(x + begin * in, count, in, w.data, out, y + begin * out, out, output);
    });
    return;
  }
  const size_t step =
      std::max(kOutBlock, roundUp((out + pool.threads() - 1) / pool.threads(), kOutBlock));
  pool.parallelFor((out + step - 1) / step, [&](size_t i) {
    const size_t begin = i * step, count = std::min(step, out - begin);
    block(x, rows, in, w.row(begin), count, y + begin, out, output);
  });
}

}  // namespace spolia::engine
