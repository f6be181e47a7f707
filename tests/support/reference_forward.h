// The forward pass of a model as a textbook has it, in double precision: every row, full
// attention matrix, nothing kept. What the transformer is compared with.
#pragma once

#include <span>
#include <vector>

#include "codec/chunk_identity.h"
#include "codec/kv_layout.h"
#include "engine/kernels/matrix.h"
#include "engine/model/model.h"

namespace spolia::engine::test {

struct ReferenceResult {
  Matrix hidden;          // [rows][hidden] after the last layer
  Matrix logits;          // [rows][vocab]
  std::vector<Matrix> k;  // per layer [rows][kvHeads * headDim], before RoPE and behind any
                          // norm, of the page type
  std::vector<Matrix> v;
};

// Tokens at positions 0 .. n - 1, or at those given, ascending; K and V rounded to `pageType` where
// pages hold them. Rows attend to the rows before them, whatever positions are left out.
ReferenceResult referenceForward(const Model& model, std::span<const codec::TokenId> tokens,
                                 codec::ElementType pageType,
                                 std::span<const uint32_t> positions = {});

}  // namespace spolia::engine::test
