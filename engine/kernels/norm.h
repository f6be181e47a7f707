// Root-mean-square norm of one row. Any thread.
#pragma once

#include <cstddef>

namespace spolia::engine {

// out[i] = in[i] / sqrt(mean(in^2) + eps) * weight[i]; `out` may be `in`.
void rmsNorm(const float* in, const float* weight, size_t n, float eps, float* out);

}  // namespace spolia::engine
