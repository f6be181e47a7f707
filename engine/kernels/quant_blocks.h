// Weights as files keep them, widened to f32. Any thread; memory need not be aligned.
//
// The blocks are ggml's, little-endian; d and dmin are f16, q is what the bits of one value say:
//   Q8_0  32 values: d, 32 x int8.                                               value = d q
//   Q4_0  32 values: d, 16 bytes: value i in the low half of byte i, value 16 + i in the high one.
//                                                                          value = d (q - 8)
//   Q4_K  256 values: d, dmin, 12 bytes with a scale s and a minimum m of 6 bits for every 32
//         values, 128 bytes: of each 32 the low halves are 32 values and the high ones the next 32.
//                                                                value = (d s) q - (dmin m)
//         Groups 0-3: s and m are the low 6 bits of bytes g and 4 + g. Groups 4-7: the low 4 bits
//         are the halves of byte 4 + g, the high 2 those that bytes g - 4 (s) and g (m) have left.
//   Q6_K  256 values: 128 bytes of low 4 bits, 64 bytes of high 2 bits, 16 x int8 scales s, one for
//         every 16 values; d. Each half of 128 has 64 and 32 bytes of its own: its values 32 j + i
//         have their low bits in byte i + 32 (j % 2), low half for j < 2, and their high bits in
//         byte i from bit 2 j.                                   value = (d s) (q - 32)
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/kernels/weight_type.h"

namespace spolia::engine {

// A quantised block taken apart: what its type has of these.
struct BlockParts {
  uint16_t d = 0, dmin = 0;  // the bits of an f16
  uint8_t scale[16] = {};    // s of each group; of Q6_K the bits of an int8
  uint8_t minimum[8] = {};
  uint8_t q[256];  // blockValues() of them; of Q8_0 the bits of an int8
};
BlockParts takeApart(WeightType type, const std::byte* block);
// The values of its block, as dequantize().
void widenParts(WeightType type, const BlockParts& parts, float* out);

// Widens `values` values, a multiple of blockValues(type), from storedBytes(type, values) bytes to
// `out`. Every product and difference is rounded once, as in the formulas above, on every
// instruction set: equal to ggml's own floats bit for bit, NaN aside.
void dequantize(WeightType type, const std::byte* blocks, size_t values, float* out);

namespace reference {

// The same, value by value.
void dequantize(WeightType type, const std::byte* blocks, size_t values, float* out);

}  // namespace reference
}  // namespace spolia::engine
