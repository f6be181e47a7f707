// Causal attention of one layer over KV pages, for any subset of a prompt's rows. Any thread; the
// calls of one request come one after the other.
#pragma once

#include <cstdint>
#include <span>

#include "engine/kernels/matrix.h"
#include "engine/kernels/thread_pool.h"
#include "engine/transformer/kv_pages.h"

namespace spolia::engine {

// out [m][heads * headDim] = attention of the rows q [m][heads * headDim], rotated to their
// positions and scaled by 1 / sqrt(headDim), over keys 0 .. positions[r] of `layer`. Query head h
// reads kv head h / (heads / kvHeads). The working copy of the pages is up to date for these keys
// (KvPages::refresh). positions ascend strictly. A row's result depends neither on the other rows
// nor on the threads. `out` is not `q`.
void attend(const MatrixView& q, std::span<const uint32_t> positions, const KvPages& pages,
            uint32_t layer, const MutableMatrixView& out, ThreadPool& pool);

}  // namespace spolia::engine
