// Causal attention of one layer, for any subset of a prompt's rows. Any thread; the
// calls of one request come one after the other.
#pragma once

#include <cstdint>
#include <span>

#include "engine/kernels/matrix.h"
#include "engine/kernels/thread_pool.h"
#include "engine/transformer/working_kv.h"

namespace spolia::engine {

// out [m][heads * headDim] = attention of the rows q [m][heads * headDim], rotated to their
// positions and scaled by 1 / sqrt(headDim), over keys 0 .. positions[r] of the layer that
// `kv` has loaded. Query head h reads kv head h / (heads / kvHeads). positions ascend strictly. A
// row's result depends neither on the other rows nor on the threads. `out` is not `q`.
void attend(const MatrixView& q, std::span<const uint32_t> positions, const WorkingKv& kv,
            const MutableMatrixView& out, ThreadPool& pool);

}  // namespace spolia::engine
