// Causal attention of one layer, for any subset of a prompt's rows. Any thread; the
// calls of one request come one after the other.
#pragma once

#include <cstdint>
#include <span>

#include "engine/kernels/matrix.h"
#include "engine/kernels/thread_pool.h"
#include "engine/transformer/working_kv.h"

namespace spolia::engine {

// The first key that a row at `position` sees: 0, or with a window other than 0 the first of that
// many up to the row itself.
inline uint32_t firstKeyOf(uint32_t position, uint32_t window) {
  return window == 0 || position < window ? 0 : position - window + 1;
}

// out [m][heads * headDim] = attention of the rows q [m][heads * headDim], rotated to their
// positions and scaled, over keys firstKeyOf(positions[r], window) .. positions[r] of the layer
// that `kv` has loaded. Query head h reads kv head h / (heads / kvHeads). positions ascend
// strictly. A row's result depends neither on the other rows nor on the threads. `out` is not `q`.
void attend(const MatrixView& q, std::span<const uint32_t> positions, const WorkingKv& kv,
            uint32_t window, const MutableMatrixView& out, ThreadPool& pool);

}  // namespace spolia::engine
