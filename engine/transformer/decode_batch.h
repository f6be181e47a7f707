// DecodeBatch: one decoding step of several sequences at once. Their rows go through every layer
// together, so weights are read once for all of them; each attends to its own pages.
//
// Borrows the transformer. One thread at a time; a step uses the whole pool. What a step works with
// is allocated at construction, for the largest batch.
#pragma once

#include <span>
#include <vector>

#include "codec/base/result.h"
#include "engine/kernels/matrix.h"
#include "engine/transformer/decode_attention.h"
#include "engine/transformer/forward.h"

namespace spolia::engine {

class DecodeBatch {
 public:
  DecodeBatch(const Transformer& transformer, size_t maxRows);

  size_t maxRows() const { return hidden_.rows(); }

  // Writes K and V of each row into its pages and gives the logits [rows][vocabulary] behind them,
  // valid until the next step. 1 .. maxRows rows, of different pages, each with room for its
  // position and with all positions before it written; anything else is a defect. With
  // Rounding::kInvariant a row's bits do not depend on the others.
  MatrixView step(std::span<const DecodeRow> rows);

 private:
  const Transformer& transformer_;
  Matrix hidden_;  // [maxRows][hidden]
  PassScratch scratch_;
  Matrix logits_;  // [maxRows][vocabulary]
  std::vector<uint32_t> positions_;
  DecodeAttention attention_;
};

}  // namespace spolia::engine
