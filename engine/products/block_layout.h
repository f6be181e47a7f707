// How quantised blocks (engine/kernels/quant_blocks.h) lie in panels of 64 outputs: every value
// and scale has the bits of its file, but what belongs together of all 64 outputs stands together,
// so that a vector's lanes are outputs. A panel is one tile for each block of inputs:
//
//   d f16 [64], dmin f16 [64] (Q4_K only), then for each group of inputs with a common scale
//     scale u8 or i8 [64] (Q4_K, Q6_K), minimum u8 [64] (Q4_K)
//     Q8_0         32 rows q i8 [64]: row i is input i
//     Q4_0, Q4_K   16 rows u8 [64]: row i has input i in the low half, input 16 + i in the high one
//     Q6_K         8 rows u8 [64]: row i has the low 4 bits of inputs i and 8 + i, halves as above;
//                  4 rows u8 [64]: row i has the high 2 bits of inputs i, 4 + i, 8 + i, 12 + i,
//                  from the lowest bits up
#pragma once

#include <cstddef>

#include "engine/kernels/weight_type.h"

namespace spolia::engine {

struct BlockLayout {
  static constexpr size_t kOutputs = 64;

  size_t inputs;     // of a tile
  size_t group;      // inputs with a common scale
  size_t valueRows;  // of a group
  bool groupScales;
  bool minimums;

  // Where the first group begins in a tile, and the values in a group.
  constexpr size_t tileHead() const { return kOutputs * (minimums ? 4 : 2); }
  constexpr size_t groupHead() const {
    return kOutputs * ((groupScales ? 1u : 0u) + (minimums ? 1u : 0u));
  }
  constexpr size_t groupBytes() const { return groupHead() + kOutputs * valueRows; }
  constexpr size_t tileBytes() const { return tileHead() + inputs / group * groupBytes(); }
};

// Of a type with blocks.
constexpr BlockLayout blockLayout(WeightType type) {
  switch (type) {
    case WeightType::kQ8_0:
      return {32, 32, 32, false, false};
    case WeightType::kQ4_0:
      return {32, 32, 16, false, false};
    case WeightType::kQ4K:
      return {256, 32, 16, true, true};
    case WeightType::kQ6K:
      return {256, 16, 12, true, false};
    case WeightType::kF32:
    case WeightType::kF16:
    case WeightType::kBf16:
      break;
  }
  SPOLIA_CHECK(false);
  return {};
}

// Packs `outputs` <= 64 rows of `inputs` values, one behind the other as a file has them and not
// aligned, into a panel of inputs / blockValues(type) tiles; outputs that are not there are zero.
void packBlocks(WeightType type, const std::byte* rows, size_t outputs, size_t inputs,
                std::byte* panel);

// Output 0 .. 63 of a panel, [inputs], as dequantize() would widen the file's row.
void copyBlockRow(WeightType type, const std::byte* panel, size_t output, size_t inputs,
                  float* out);

}  // namespace spolia::engine
