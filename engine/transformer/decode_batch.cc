#include "engine/transformer/decode_batch.h"

#include <algorithm>

#include "codec/base/check.h"
#include "engine/kernels/norm.h"
#include "engine/transformer/layer.h"

namespace spolia::engine {

DecodeBatch::DecodeBatch(const Transformer& transformer, size_t maxRows)
    : transformer_(transformer),
      hidden_(maxRows, transformer.config().hiddenSize),
      scratch_(makeScratch(transformer.config(), maxRows)),
      logits_(maxRows, transformer.config().vocabSize),
      positions_(maxRows),
      attention_(transformer.config(), transformer.pool()) {
  SPOLIA_CHECK(maxRows > 0);
}

MatrixView DecodeBatch::step(std::span<const DecodeRow> rows) {
  SPOLIA_CHECK(!rows.empty() && rows.size() <= maxRows());
  const ModelConfig& config = transformer_.config();
  const Weights& weights = transformer_.weights();
  for (size_t r = 0; r < rows.size(); ++r) {
    SPOLIA_CHECK(rows[r].token < config.vocabSize && rows[r].position < config.maxPositions);
    SPOLIA_CHECK(rows[r].position < rows[r].pages->capacityTokens());
    weights.embedding().copyRow(rows[r].token, hidden_.row(r));
    positions_[r] = rows[r].position;
  }
  const BlockRows all = blockRows(hidden_, scratch_, 0, rows.size());
  for (uint32_t layer = 0; layer < config.layers; ++layer) {
    const LayerContext context = transformer_.contextOf(layer);
    projectRows(context, all);
    for (size_t r = 0; r < rows.size(); ++r) {
      storeRow(context, rows[r].position, all.k.row(r), all.v.row(r), *rows[r].pages);
    }
    rotateQueries(context, std::span(positions_).first(rows.size()), all.q);
    attention_.attend(layer, all.q, rows, context.rope, config.windowOf(layer), all.attended);
    finishRows(context, all);
  }
  for (size_t r = 0; r < rows.size(); ++r) {
    rmsNorm(all.hidden.row(r), weights.finalNorm().row(0), config.hiddenSize, config.rmsEps,
            all.normed.row(r));
  }
  const MutableMatrixView logits = logits_.mutableView().rowRange(0, rows.size());
  multiply(all.normed, weights.head(), logits, Accumulate::kReplace, transformer_.pool(),
           transformer_.contextOf(0).rounding);
  return logits;
}

}  // namespace spolia::engine
