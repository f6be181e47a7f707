// One block of a model. Used by the transformer.
#pragma once

#include <cstdint>

#include "engine/kernels/rope.h"
#include "engine/kernels/thread_pool.h"
#include "engine/model/model_config.h"
#include "engine/model/weights.h"
#include "engine/products/products.h"
#include "engine/transformer/forward.h"
#include "engine/transformer/kv_pages.h"

namespace spolia::engine {

// What a block works with; borrowed for the call.
struct LayerContext {
  const ModelConfig& config;
  const LayerWeights& weights;
  uint32_t layer;
  const RopeTable& rope;
  ThreadPool& pool;
  Rounding rounding;
};

// Takes the rows of `pass` through one block and writes their K and V into `pages`. Rows before
// `firstOutput` end with K and V: their hidden states are then of no meaning.
void runBlock(const LayerContext& context, Pass& pass, KvPages& pages, size_t firstOutput);

// K and V [rows][kvHeads * headDim] of the block's input `hidden` [rows][hidden] as pages hold
// them; `normed` is as large as `hidden`.
void projectKv(const LayerContext& context, const MatrixView& hidden,
               const MutableMatrixView& normed, const MutableMatrixView& k,
               const MutableMatrixView& v);

// Rows that PassScratch::gate and up need for a pass of `rows` rows.
size_t ffnScratchRows(size_t rows);

}  // namespace spolia::engine
