// Turns rows into columns. Any thread.
#pragma once

#include <cstddef>

namespace spolia::engine {

// in [rows][columns] to out [columns][rows], which do not overlap.
void transpose(const float* in, size_t rows, size_t columns, float* out);

}  // namespace spolia::engine
