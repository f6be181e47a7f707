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

// What a row's rounding may depend on.
enum class Rounding : bool {
  kFast,       // also on how many rows are computed with it, and on the threads
  kInvariant,  // on the row and the weights alone; slower, most of all for a single row
};

// Rows of a tile under kInvariant: every product runs over so many, the missing ones zero. With 8
// all rows of OpenBLAS's Haswell and Zen kernels take the same path; with 6, 12, 16, 24, 32, 48 or
// 64 their bits depend on the row's place in the tile (measured). The tests find out about other
// kernels.
inline constexpr size_t kInvariantRows = 8;

// One product. Products of a call share the input [m][k], not the output.
struct Product {
  MatrixView weight;      // [n][k]
  MutableMatrixView out;  // [m][n]
};

// All products with `in` [m][k] at once, so that also narrow ones keep every thread busy. Returns
// when they are done. Any thread; the pool may be in use by others.
void multiply(const MatrixView& in, std::span<const Product> products, Accumulate accumulate,
              ThreadPool& pool, Rounding rounding = Rounding::kFast);

// One product.
inline void multiply(const MatrixView& in, const MatrixView& weight, const MutableMatrixView& out,
                     Accumulate accumulate, ThreadPool& pool, Rounding rounding = Rounding::kFast) {
  const Product product{weight, out};
  multiply(in, {&product, 1}, accumulate, pool, rounding);
}

// The same on the calling thread alone.
void multiplyAlone(const MatrixView& in, const MatrixView& weight, const MutableMatrixView& out,
                   Accumulate accumulate);

}  // namespace spolia::engine
