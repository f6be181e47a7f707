// The encoder's arithmetic of learnt transforms on rows of values, by vectors. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "codec/lossy/factor_tiles.h"

namespace spolia::codec {

inline constexpr uint32_t kProjectPadding = 15;

// to[t][j] = sum over c of from[t][c] * columns[c][j] for a tile: from [kTileTokens][channels],
// columns [channels][count], to [kTileTokens][toStride]. Whole vectors are read and written: up to
// kProjectPadding floats behind the columns, and behind the sums of each token, which are then
// anything.
void project(const float* from, uint32_t channels, const float* columns, uint32_t count, float* to,
             size_t toStride);

// The magnitudes of values * inverseStep, `rounding` added and what is behind the point cut off, at
// most limit[i], with the signs. Adds the squares of the values to `energy`.
void quantiseSteps(const float* values, float inverseStep, float rounding, const float* limit,
                   size_t count, int16_t* to, float* energy);

// Values of the finest level, of magnitude at most 2^14, to those of a level with `below` (0 to 2)
// finer ones: a level up, v becomes (v + 1) / 3 towards zero, of magnitudes. `fine`: less three
// times those of the next level up.
void levelOf(const int16_t* values, size_t count, uint32_t below, bool fine, int16_t* to);

}  // namespace spolia::codec
