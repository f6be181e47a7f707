// Products of two f32 matrices by OpenBLAS, for what is computed once: a model's profile. What a
// pass multiplies with are packed weights (engine/products).
#pragma once

#include "engine/kernels/matrix.h"

namespace spolia::engine {

// What becomes of the values already in `out`.
enum class Accumulate : bool { kReplace, kAdd };

// out [m][n] = in [m][k] * weight [n][k]^T on the calling thread alone. Any thread.
void multiplyAlone(const MatrixView& in, const MatrixView& weight, const MutableMatrixView& out,
                   Accumulate accumulate);

}  // namespace spolia::engine
