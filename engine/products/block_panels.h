// Products and values of quantised blocks in panels (engine/products/block_layout.h). Any thread.
#pragma once

#include <cstddef>

#include "engine/kernels/matrix.h"
#include "engine/kernels/weight_type.h"

namespace spolia::engine {

// A panel as f32, [inputs][64]: equal to dequantize() bit for bit, NaN aside.
void widenBlockPanel(WeightType type, const std::byte* panel, size_t inputs, float* out);

// Adds in [rows][inputs] times a panel to sums [rows][64]. Weights are not rounded to f32 one by
// one: sums over a group are made of its integers and take its scale once. A row's sums are made in
// the same order whatever the number of rows.
void addBlockPanel(const MatrixView& in, WeightType type, const std::byte* panel, float* sums);

}  // namespace spolia::engine
