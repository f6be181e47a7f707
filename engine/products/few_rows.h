// A few rows times a weight matrix: what decoding does, bound by how fast weights are read.
#pragma once

#include <cstddef>

#include "engine/kernels/matrix.h"
#include "engine/products/weight_matrix.h"

namespace spolia::engine {

// Rows of a call at most: so many sums fit registers.
inline constexpr size_t kFewRows = 8;

// sums [in.rows()][64], rows 64 apart, of the outputs of panel `index`. A row's sums are made in
// the same order whatever the number of rows. Works on the calling thread alone; any thread.
void multiplyFewRows(const MatrixView& in, const WeightMatrix& weight, size_t index, float* sums);

}  // namespace spolia::engine
