// Between f32 and the 16-bit element types of KV pages. Any thread. Memory need not be aligned.
#pragma once

#include <cstddef>
#include <cstdint>

namespace spolia::engine {

// Exact.
void widenF16(const std::byte* in, size_t n, float* out);
void widenBf16(const std::byte* in, size_t n, float* out);
// Rounded to nearest, ties to even; too large gives infinity, NaN stays NaN.
void narrowF16(const float* in, size_t n, std::byte* out);
void narrowBf16(const float* in, size_t n, std::byte* out);

}  // namespace spolia::engine
