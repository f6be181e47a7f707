// The rows of one page and head as attention reads them. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/kernels/rope.h"
#include "engine/transformer/kv_pages.h"

namespace spolia::engine {

// One page of one head of a layer.
struct PageBlock {
  const KvPages& pages;
  uint32_t layer, page, head;
};

// The first `rows` keys of the block, widened and turned to their positions, in panels
// [64 / 16][headDim][16]; panels behind the last row are not written, lanes behind it are of no
// meaning. `wide` is scratch, [64][headDim].
void turnKeys(const PageBlock& block, uint32_t rows, const RopeTable& rope, float* wide,
              float* panels);

// The first `rows` values of the block [rows][headDim]: in place for f32 pages, else widened to
// `out` [64][headDim].
const float* widenValues(const PageBlock& block, uint32_t rows, float* out);

}  // namespace spolia::engine
