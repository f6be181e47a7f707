// The gate of a SwiGLU feed-forward layer. Any thread.
#pragma once

#include <cstddef>

namespace spolia::engine {

// out[i] = gate[i] / (1 + exp(-gate[i])) * up[i]; `out` may be either input.
void siluMultiply(const float* gate, const float* up, size_t n, float* out);

}  // namespace spolia::engine
