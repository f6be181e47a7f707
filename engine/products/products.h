// Products with weight matrices, out = in * weight^T, in f32 with f32 accumulation: the bulk of a
// prefill and of decoding. `kernels/reference.h` has the slow clear version.
#pragma once

#include <span>

#include "engine/kernels/gemm.h"
#include "engine/kernels/matrix.h"
#include "engine/kernels/thread_pool.h"
#include "engine/products/weight_matrix.h"

namespace spolia::engine {

// What a row's rounding may depend on.
enum class Rounding : bool {
  kFast,       // also on how many rows are computed with it, and on the threads
  kInvariant,  // on the row and the weights alone; slower, most of all for a single row
};

// One product. Products of a call share the input [m][inputs], not the output.
struct Product {
  const WeightMatrix& weight;  // [n][inputs]
  MutableMatrixView out;       // [m][n]
};

// All products with `in` [m][k] at once, so that also narrow ones keep every thread busy. Returns
// when they are done. Any thread; the pool may be in use by others. Allocates nothing once a thread
// has seen the shapes, up to kFewRows rows.
void multiply(const MatrixView& in, std::span<const Product> products, Accumulate accumulate,
              ThreadPool& pool, Rounding rounding = Rounding::kFast);

// One product.
inline void multiply(const MatrixView& in, const WeightMatrix& weight, const MutableMatrixView& out,
                     Accumulate accumulate, ThreadPool& pool, Rounding rounding = Rounding::kFast) {
  const Product product{weight, out};
  multiply(in, {&product, 1}, accumulate, pool, rounding);
}

}  // namespace spolia::engine
