// Values of learnt transforms from codes and coefficients, and the way back to what codes leave, a
// panel of channels at a time. Sums of products are exact (32 bits, wrapping), and values the same
// on every instruction set. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "codec/kv_layout.h"
#include "codec/lossy/factor_tiles.h"

namespace spolia::codec {

// What the values of a panel are made of: mean + scale * (mapScale * P + factor * Q), P the sum of
// codes * maps and Q that of coefficients * components.
struct PanelSums {
  const FactorTiles* codes = nullptr;  // null: P is 0
  PanelRows maps;
  const FactorTiles* coefficients = nullptr;  // null: Q is 0
  PanelRows components;
  uint32_t width = 0;
  const float* mean = nullptr;  // [width] each
  const float* scale = nullptr;
  const float* mapScale = nullptr;
  float factor = 0;
};

// Writes a panel's values of all tokens of the factors, `width` of them at to + token * stride,
// bounded and rounded as restoreRow() does (codec/values/quant_rows.h).
void restorePanel(const PanelSums& sums, uint32_t tokens, ElementType type, std::byte* to,
                  ptrdiff_t stride);

// The other way: (value - mean) * inverse - mapScale * P of a panel's values, which stand `width`
// at from + token * fromStride, kept within -limit to limit; without components. To row `token` of
// `to`, toStride floats apart. False when one of the values is an infinity or a NaN.
bool residualPanel(const PanelSums& sums, const float* inverse, float limit, uint32_t tokens,
                   ElementType type, const std::byte* from, ptrdiff_t fromStride, float* to,
                   size_t toStride);

}  // namespace spolia::codec
