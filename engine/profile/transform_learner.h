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
#include "engine/profile/key_metric.h"
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

// What a row is predicted from: the first numbers of its token's code and of the one before.
struct CodeUse {
  uint32_t own = 0;
  uint32_t before = 0;

  uint32_t count() const { return own + before; }
};

struct CodeMaps {
  CodeUse use;
  std::vector<uint8_t> shifts;  // [rank of the codes]
  Matrix maps;                  // [column][use.count()]
};

// Least squares over all rows; the shifts line up the sizes of the maps.
Result<CodeMaps> fitMaps(const ScaledRows& rows, const TokenCodes& codes, CodeUse use);

// One block without its basis: columns [begin, end). Its part of `rows` becomes what the prediction
// leaves.
codec::ProfileBlock learnBlock(ScaledRows& rows, const TokenCodes& codes, const CodeMaps& maps,
                               uint32_t begin, uint32_t end);

// Heads whose errors do not count alike in all directions: roots of their metrics.
struct HeadMetrics {
  uint32_t headDim = 0;
  std::vector<const MetricRoot*> roots;  // [column / headDim]; null: alike
};

// The basis of a block whose rows are residuals already: components, shifts and classes at `step`.
// The components are orthonormal in the metric, so that one step serves them all; those that spread
// less than `leastSpread` steps are left out, the others stand in descending order of spread.
Status learnBasis(const ScaledRows& residual, const HeadMetrics& metrics, float step,
                  float leastSpread, codec::ProfileBlock& block);

}  // namespace spolia::engine
