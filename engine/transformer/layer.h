// One block of a model. Used by the transformer.
#pragma once

#include <cstdint>
#include <span>

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

// Some rows of a pass, or of several sequences, in a block: views of as many rows each.
struct BlockRows {
  MutableMatrixView hidden;    // [m][hidden], the residual stream
  MutableMatrixView normed;    // [m][hidden]
  MutableMatrixView q;         // [m][heads * headDim]
  MutableMatrixView k, v;      // [m][kvHeads * headDim]
  MutableMatrixView attended;  // [m][heads * headDim]
  MutableMatrixView gate, up;  // [ffnScratchRows(m)][ffn]

  // Those from `first` on.
  BlockRows from(size_t first) const;
};
// Rows [first, first + count) of `hidden` with the first rows of the scratch.
BlockRows blockRows(Matrix& hidden, PassScratch& scratch, size_t first, size_t count);
PassScratch makeScratch(const ModelConfig& config, size_t rows);

// Rows [first, first + count) of a pass; those before `firstOutput`, counted from `first`, end with
// K and V: their hidden states are then of no meaning.
struct RowRange {
  size_t first;
  size_t count;
  size_t firstOutput;
};

// Takes these rows of `pass` through one block and writes their K and V into `pages`. The rows of
// the pass before them were taken through it already.
void runBlock(const LayerContext& context, Pass& pass, KvPages& pages, const RowRange& range);

// The same block in steps, for rows that attend to different pages. What comes first: `hidden` to
// q, k and v as projected;
void projectRows(const LayerContext& context, const BlockRows& rows);
// one row's K and V, completed, into its pages;
void storeRow(const LayerContext& context, uint32_t position, float* k, float* v, KvPages& pages);
// queries completed and turned to their positions, the scale of scores with them;
void rotateQueries(const LayerContext& context, std::span<const uint32_t> positions,
                   const MutableMatrixView& q);
// and, from `attended` on, everything up to the block's output in `hidden`.
void finishRows(const LayerContext& context, const BlockRows& rows);

// K and V [rows][kvHeads * headDim] of the block's input `hidden` [rows][hidden] as pages hold
// them; `normed` is as large as `hidden`.
void projectKv(const LayerContext& context, const MatrixView& hidden,
               const MutableMatrixView& normed, const MutableMatrixView& k,
               const MutableMatrixView& v);

// Rows that PassScratch::gate and up need for a pass of `rows` rows.
size_t ffnScratchRows(size_t rows);

}  // namespace spolia::engine
