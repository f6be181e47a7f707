// The arithmetic of learnt transforms on tiles of tokens, by vectors: products with small integer
// matrices (exact, the same on every instruction set), and the encoder's projection. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>

namespace spolia::codec {

// Tokens of a tile.
inline constexpr uint32_t kTileTokens = 4;

// An integer matrix with its rows in pairs: [pair][channel][2], so that a channel's two factors lie
// side by side. A row without a partner is paired with zeros.
struct PairedRows {
  const int8_t* rows = nullptr;
  uint32_t pairs = 0;
  uint32_t channels = 0;  // of a row
};

// to[t][c] += factor * factors[c] * sum over p of x[t][2p] * rows[p][c][0] + x[t][2p + 1] *
// rows[p][c][1], for a tile of kTileTokens tokens and `count` channels from `channel` on. Sums are
// 32-bit and wrap. x: [kTileTokens][xStride]; factors and to, [kTileTokens][toStride]: channel
// `channel` first.
void addProducts(const int16_t* x, size_t xStride, const PairedRows& matrix, uint32_t channel,
                 uint32_t count, const float* factors, float factor, float* to, size_t toStride);

// to[t][j] = sum over c of from[t][c] * columns[c][j] for a tile: from [kTileTokens][channels],
// columns [channels][count], to [kTileTokens][toStride].
void project(const float* from, uint32_t channels, const float* columns, uint32_t count, float* to,
             size_t toStride);

// to[c] += (values[c] - mean[c]) * inverse[c], kept within -limit to limit. False when one of the
// values is an infinity or a NaN.
bool addResidual(const float* values, const float* mean, const float* inverse, float limit,
                 size_t count, float* to);

// The magnitudes of values * inverseStep, `rounding` added and what is behind the point cut off, at
// most limit[i], with the signs. Adds the squares of the values to `energy`.
void quantiseSteps(const float* values, float inverseStep, float rounding, const float* limit,
                   size_t count, int16_t* to, float* energy);

// A level up: (v + 1) / 3 towards zero, of magnitudes, which are at most 2^14.
void thirds(const int16_t* values, size_t count, int16_t* to);

// x[i] = value[i] << shift[i], kept within 16 bits.
void shiftRow(const int16_t* values, const uint8_t* shifts, size_t count, int16_t* x);

}  // namespace spolia::codec
