// One row times a weight matrix: what decoding does, bound by how fast weights are read.
#pragma once

#include "engine/kernels/matrix.h"
#include "engine/kernels/thread_pool.h"

namespace spolia::engine {

enum class Accumulate : bool;

// out[n] (+)= sum of in[k] * weight[n][k]; a value of out does not depend on the threads. Any
// thread.
void multiplyVector(const float* in, const MatrixView& weight, float* out, Accumulate accumulate,
                    ThreadPool& pool);

}  // namespace spolia::engine
