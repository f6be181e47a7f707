// Keys in the order the attention kernel reads them. Any thread.
#pragma once

#include <cstddef>

namespace spolia::engine {

// rows [kKeyPanel][headDim] become panel [headDim][kKeyPanel]; kKeyPanel is 16
// (attention_kernel.h).
void transposePanel(const float* rows, size_t headDim, float* panel);

}  // namespace spolia::engine
