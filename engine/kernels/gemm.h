// Products with weight matrices, out = in * weight^T, in f32 with f32 accumulation: the bulk of a
// prefill. Large ones go to OpenBLAS in single-threaded blocks from our pool, a single row to our
// own kernel. `reference.h` has the slow clear version.
#pragma once

#include <span>

#include "engine/kernels/matrix.h"
#include "engine/kernels/thread_pool.h"

namespace spolia::engine {

// What becomes of the values already in `out`.
enum class Accumulate : bool { kReplace, kAdd };

// One product. Products of a call share the input [m][k], not the output.
struct Product {
  MatrixView weight;      // [n][k]
  MutableMatrixView out;  // [m][n]
};

// All products with `in` [m][k] at once, so that also narrow ones keep every thread busy. Returns
// when they are done. Rounding may depend on m and on the number of threads. Any thread; the pool
// may be in use by others.
void multiply(const MatrixView& in, std::span<const Product> products, Accumulate accumulate,
              ThreadPool& pool);

// One product.
inline void multiply(const MatrixView& in, const MatrixView& weight, const MutableMatrixView& out,
                     Accumulate accumulate, ThreadPool& pool) {
  const Product product{weight, out};
  multiply(in, {&product, 1}, accumulate, pool);
}

// The same on the calling thread alone.
void multiplyAlone(const MatrixView& in, const MatrixView& weight, const MutableMatrixView& out,
                   Accumulate accumulate);

}  // namespace spolia::engine
