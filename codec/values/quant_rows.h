// The codings' arithmetic on one row of channels, by vectors, between f32 and the element types.
// Every instruction set gives the same bits. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "codec/kv_layout.h"
#include "codec/values/plane_rows.h"

namespace spolia::codec {

// Writes base + scale * value of each, to `count` values of `type`, each bounded by the largest
// finite one of the type: rounding at the edge of its range, and hostile scales, make no
// infinities. With `add` on top of what stands there.
void scaleRow(const float* values, const float* base, const float* scale, size_t count, bool add,
              ElementType type, std::byte* to);

// Tokens that restoreSteps() is quick at, or a multiple: as many as lie in a cache line.
inline constexpr uint32_t kStepTokens = 8;

// One head's values in steps, of a plane that has them as [channel / 4][token][4], the first index
// `groupStride` values apart.
struct StepRows {
  const int16_t* steps = nullptr;  // none: all 0
  size_t groupStride = 0;
  uint32_t channel = 0;           // of the plane: the head's first
  uint32_t count = 0;             // its channels
  const float* offset = nullptr;  // [count], in steps
  float step = 0;
};

// Writes (steps + offset) * step of the tokens from `begin` to `end` to rows of `type`, bounded as
// in scaleRow(); with `add` what stands there plus steps * step.
void restoreSteps(const StepRows& from, uint32_t begin, uint32_t end, bool add, ElementType type,
                  std::byte* to, ptrdiff_t tokenStride);

// `count` values of `type` as f32. What is not finite stays so.
void widenRow(const std::byte* from, ElementType type, size_t count, float* to);

}  // namespace spolia::codec
