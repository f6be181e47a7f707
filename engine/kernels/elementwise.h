// The row-wise kernels of a Llama block: RMSNorm, RoPE, SwiGLU's activation, and the rounding of K
// and V to the type of KV pages. f32 arithmetic; SIMD by Highway, chosen at run time. Pure
// functions on the caller's memory; any thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/kernels/matrix.h"

namespace spolia::engine {

// Element types of KV pages, the same numbers as codec::ElementType.
enum class PageType : uint8_t { kF32 = 0, kF16 = 1, kBf16 = 2 };

// out [n] = x / sqrt(mean(x^2) + eps) * weight. May be in place.
void rmsNorm(const float* x, const float* weight, size_t n, float eps, float* out);

// gate [n] = silu(gate) * up, silu(x) = x / (1 + e^-x).
void siluMultiply(float* gate, const float* up, size_t n);

// Cosine and sine of position * theta^(-2i / headDim) for i < headDim / 2: a row of headDim values,
// cosines first, computed in double.
void ropeRow(uint32_t position, uint32_t headDim, double theta, float* out);
// Rotates one head [headDim] by such a row, pairing i with i + headDim / 2 (Hugging Face's half
// split): out = (a cos - b sin, b cos + a sin). `out` is not `x`.
void rotateHead(const float* x, const float* ropeRow, size_t headDim, float* out);

// n values from f32 to page type (round to nearest even; overflow of f16 gives infinity) and back.
void roundToPage(const float* x, size_t n, PageType type, std::byte* out);
void widenFromPage(const std::byte* x, size_t n, PageType type, float* out);

}  // namespace spolia::engine
