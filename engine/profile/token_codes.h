// What a token alone says about its KV: a code of a few small integers for each token of the
// vocabulary, from which rows are predicted by one linear map.
//
// The rows a token gets behind nothing but BOS are its features; least squares on samples turns
// them into the expected rows, which for tokens that the samples have often are drawn to what was
// seen. The codes are the main directions of those expectations, weighted by sensitivity.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "codec/base/result.h"
#include "engine/kernels/matrix.h"
#include "engine/model/model.h"
#include "engine/profile/kv_sample.h"
#include "engine/transformer/forward.h"

namespace spolia::engine {

struct TokenCodes {
  uint32_t rank = 0;
  uint32_t wide = 0;          // the first so many lie within -127 to 127, the others within -7 to 7
  std::vector<int8_t> codes;  // [token][rank]

  const int8_t* of(codec::TokenId token) const { return codes.data() + size_t{token} * rank; }
};

// Rows [token][column] of every token of the vocabulary right behind BOS.
Result<Matrix> lonelyRows(const Model& model, const Transformer& transformer, const KvShape& shape);

// `rows`: of all tokens of the samples, less their mean and times the root of their weight; in the
// order of `tokens`. `features` as lonelyRows() gives them.
Result<TokenCodes> learnTokenCodes(const Matrix& features, std::span<const codec::TokenId> tokens,
                                   const Matrix& rows, uint32_t rank, uint32_t wide);

}  // namespace spolia::engine
