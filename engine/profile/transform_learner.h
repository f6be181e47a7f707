// Learning the blocks of a profile from rows of KV: the maps that predict rows from token codes,
// and the bases in which what is left is coded. Pure functions; any thread.
//
// Rows are scaled: (value - mean) / scale, where scale is one over the root of a column's
// sensitivity, so that an error counts the same in every column and one step serves all components.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "codec/base/result.h"
#include "codec/lossy/profile.h"
#include "engine/kernels/matrix.h"
#include "engine/profile/kv_sample.h"
#include "engine/profile/token_codes.h"

namespace spolia::engine {

struct ScaledRows {
  std::vector<float> mean, scale;  // [column], bf16 values
  Matrix rows;                     // [token of a sample][column]
  std::vector<codec::TokenId> tokens;
  std::vector<uint8_t> first;  // [token of a sample]: whether it begins its sample
};

// All tokens of the samples.
ScaledRows scaleRows(std::span<const KvSample> samples, const KvShape& shape,
                     const std::vector<float>& sensitivity);

// Maps of one block's columns, quantised as profiles have them.
struct CodeMaps {
  std::vector<uint8_t> shifts;  // [rank]
  Matrix maps;                  // [column][2 * rank]: factors of a token's code and the one before
};

// Least squares over all rows; the shifts line up the sizes of the maps.
Result<CodeMaps> fitMaps(const ScaledRows& rows, const TokenCodes& codes);

// One block: columns [begin, end), predicted from `history` tokens, with the components that spread
// over at least `leastSpread` steps. Its part of `rows` becomes what the prediction leaves.
Result<codec::ProfileBlock> learnBlock(ScaledRows& rows, const TokenCodes& codes,
                                       const CodeMaps& maps, uint32_t begin, uint32_t end,
                                       uint8_t history);

// The basis of a block whose rows are residuals already: components, shifts and classes at `step`.
Status learnBasis(const ScaledRows& residual, float step, float leastSpread,
                  codec::ProfileBlock& block);

}  // namespace spolia::engine
