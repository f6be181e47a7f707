// The encoder's arithmetic of scaled channels, on the columns of a matrix of tokens by channels, by
// vectors: how a column is spread, and its values in steps. Every instruction set gives the same
// bits. Specified in codec/FORMAT.md ("Scaled channels"). Any thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "codec/values/plane_rows.h"

namespace spolia::codec {

// Rows of f32, `stride` values apart.
struct ValueMatrix {
  const float* values = nullptr;
  size_t stride = 0;
  uint32_t rows = 0;
  uint32_t columns = 0;
};

// The largest magnitude; an infinity or a NaN where there is one.
float largestMagnitude(const ValueMatrix& matrix);

// Of every column: the mean, and the mean and the largest distance from it. Magnitudes are below
// 2^100.
void measureColumns(const ValueMatrix& matrix, float* mean, float* deviation, float* farthest);

// The nearest integers to value * inverse[column], less offset[column]; all of them within 16 bits.
// Of a matrix of whole kStepGroup columns; to: [column / kStepGroup][row][kStepGroup], the
// first index `toStride` values apart.
void quantiseColumns(const ValueMatrix& matrix, const float* inverse, const int32_t* offset,
                     int16_t* to, size_t toStride);

}  // namespace spolia::codec
