// The forward pass of a model over any subset of a prompt's rows, layer by layer, so that the
// KV of layer i + 1 can arrive while layer i is computed.
//
//   KvPages pages(model.config(), type, capacity);
//   pass = transformer.begin(tokens, positions);
//   for each layer: [pages.importRows(layer, ...)]; transformer.runLayer(pass, layer, pages);
//   next = argmax(transformer.logits(pass, pass.rows() - 1));
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "codec/base/result.h"
#include "codec/chunk_identity.h"
#include "engine/kernels/matrix.h"
#include "engine/kernels/rope.h"
#include "engine/kernels/thread_pool.h"
#include "engine/model/model.h"
#include "engine/products/products.h"
#include "engine/transformer/kv_pages.h"

namespace spolia::engine {

// Which rows' last hidden states (and so logits) the caller will look at. All rows' K and V are
// written either way; rows nobody looks at are left out of the last layer once their K and V are
// there, a twelfth of the work in a model of twelve layers.
enum class OutputRows : uint8_t { kAll, kLast };

// What rows attend to: all positions up to their own, or those in the layer's window; or position 0
// and themselves, as if each were the only one behind it, at position 1 (its own is then just the
// place for its K and V).
enum class RowContext : uint8_t { kPrompt, kAlone };

// Buffers of a layer, allocated once a pass. m = rows that are taken through a layer at a time.
struct PassScratch {
  Matrix normed;    // [m][hidden]
  Matrix q;         // [m][heads * headDim]
  Matrix k, v;      // [m][kvHeads * headDim]
  Matrix attended;  // [m][heads * headDim]
  Matrix gate, up;  // [ffn block rows][ffn]
};

// Rows on their way through the layers. Owned by the request, used by one thread at a time.
struct Pass {
  std::vector<uint32_t> positions;  // strictly ascending
  Matrix hidden;                    // [m][hidden], the residual stream
  OutputRows outputs = OutputRows::kAll;
  RowContext context = RowContext::kPrompt;  // set before the first layer
  PassScratch scratch;

  size_t rows() const { return positions.size(); }
};

struct LayerContext;  // engine/transformer/layer.h

// Const calls from any thread; each call uses the whole pool. The model and the pool outlive it.
class Transformer {
 public:
  // With Rounding::kInvariant a row's K, V, hidden state and logits depend on the rows before it in
  // the prompt alone: not on which rows share its pass, nor on the threads. For equality tests.
  Transformer(const Model& model, ThreadPool& pool, Rounding rounding = Rounding::kFast);

  // Embeds the rows. kInvalidArgument, naming the row: no rows, counts that differ, a token the
  // vocabulary lacks, positions not ascending or beyond the model's maxPositions. A pass whose rows
  // go through a layer at most `blockRows` at a time (runRows) needs less memory.
  Result<Pass> begin(std::span<const codec::TokenId> rowTokens,
                     std::span<const uint32_t> rowPositions, OutputRows outputs = OutputRows::kAll,
                     size_t blockRows = SIZE_MAX) const;

  // Writes the rows' K and V of this layer into the pages and takes the rows through it; row r
  // attends to positions 0 .. positions[r], whoever wrote them, or to those of them in the window.
  // Layers go in order, 0 first; the pages have room for the last position.
  void runLayer(Pass& pass, uint32_t layer, KvPages& pages) const;
  // The same for rows [first, first + count) of the pass; a layer's rows go in order, all of them
  // before the next layer's.
  void runRows(Pass& pass, uint32_t layer, size_t first, size_t count, KvPages& pages) const;
  // All layers.
  void run(Pass& pass, KvPages& pages) const;

  // Writes K and V of layer 0, which follow from the tokens alone, of tokens at as many different
  // positions, in any order: what a pass over them would write, but for the rounding of sums.
  // kInvalidArgument, naming the row, for a token the vocabulary lacks.
  Status writeFirstLayer(std::span<const codec::TokenId> tokens,
                         std::span<const uint32_t> positions, KvPages& pages) const;

  // [vocab] after the last layer: final norm and head. With OutputRows::kLast only of the last row.
  std::vector<float> logits(const Pass& pass, size_t row) const;

  const ModelConfig& config() const { return model_.config(); }
  // By which queries and keys are turned.
  const RopeTable& rope() const { return rope_; }

  // For other ways through the layers (decode_batch).
  LayerContext contextOf(uint32_t layer) const;
  const Weights& weights() const { return model_.weights(); }
  ThreadPool& pool() const { return pool_; }

 private:
  const Model& model_;
  ThreadPool& pool_;
  const Rounding rounding_;
  RopeTable rope_;
};

}  // namespace spolia::engine
