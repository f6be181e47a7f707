// A sample turned so that each column's tokens lie side by side, for schemes that work column by
// column. Any thread.
#pragma once

#include <cstddef>
#include <vector>

#include "bench/codec/quality/judging.h"

namespace spolia::bench {

// [column][token] from [token][column], or the other way round with the arguments exchanged.
inline std::vector<float> transposed(const std::vector<float>& values, size_t rows,
                                     size_t columns) {
  constexpr size_t kBlock = 16;  // a cache line of floats
  std::vector<float> out(values.size());
  for (size_t c0 = 0; c0 < columns; c0 += kBlock) {
    for (size_t r = 0; r < rows; ++r) {
      for (size_t c = c0; c < columns && c < c0 + kBlock; ++c) {
        out[c * rows + r] = values[r * columns + c];
      }
    }
  }
  return out;
}

}  // namespace spolia::bench
