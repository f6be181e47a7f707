// The codings' arithmetic on one row of channels, by vectors, between f32 and the element types.
// Every instruction set gives the same bits. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "codec/kv_layout.h"

namespace spolia::codec {

// A symbol s stands for offset + step * (s - kQuantMiddle).
inline constexpr int32_t kQuantMiddle = 128;
// The encoder keeps symbols within kQuantMiddle +- kQuantReach.
inline constexpr float kQuantReach = 127;

// Writes `count` values of `type` to `to`, each bounded by the largest finite one of the type:
// rounding at the edge of its range, and hostile scales, make no infinities. Offsets and steps are
// finite.
void restoreRow(const uint8_t* symbols, const float* offset, const float* step, size_t count,
                ElementType type, std::byte* to);

// Writes base + scale * value of each, to `type` as restoreRow() does; with `add` on top of what
// stands there.
void scaleRow(const float* values, const float* base, const float* scale, size_t count, bool add,
              ElementType type, std::byte* to);

// The nearest symbols of finite values; no divisor is 0.
void quantiseRow(const float* values, const float* offset, const float* divisor, size_t count,
                 uint8_t* symbols);

// `count` values of `type` as f32. What is not finite stays so.
void widenRow(const std::byte* from, ElementType type, size_t count, float* to);

}  // namespace spolia::codec
