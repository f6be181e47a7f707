#include "engine/transformer/forward.h"

#include <algorithm>
#include <string>
#include <utility>

#include "codec/base/check.h"
#include "engine/kernels/norm.h"
#include "engine/transformer/layer.h"

namespace spolia::engine {

namespace {

// Rows that writeFirstLayer() computes at a time.
constexpr size_t kDerivedRows = 512;

Status checkToken(const ModelConfig& config, codec::TokenId token, size_t row) {
  if (token < config.vocabSize) return {};
  return Status(ErrorCode::kInvalidArgument, "row " + std::to_string(row) + ": token " +
                                                 std::to_string(token) + ", the vocabulary has " +
                                                 std::to_string(config.vocabSize));
}

Status checkRows(const ModelConfig& config, std::span<const codec::TokenId> tokens,
                 std::span<const uint32_t> positions) {
  const auto bad = [](std::string what) {
    return Status(ErrorCode::kInvalidArgument, std::move(what));
  };
  if (tokens.empty()) return bad("a pass without rows");
  if (tokens.size() != positions.size()) {
    return bad(std::to_string(tokens.size()) + " tokens for " + std::to_string(positions.size()) +
               " positions");
  }
  for (size_t r = 0; r < tokens.size(); ++r) {
    const auto row = [r] { return "row " + std::to_string(r) + ": "; };
    SPOLIA_RETURN_IF_ERROR(checkToken(config, tokens[r], r));
    if (positions[r] >= config.maxPositions) {
      return bad(row() + "position " + std::to_string(positions[r]) + ", the model has " +
                 std::to_string(config.maxPositions));
    }
    if (r > 0 && positions[r] <= positions[r - 1]) {
      return bad(row() + "position " + std::to_string(positions[r]) + " after " +
                 std::to_string(positions[r - 1]) + ", expected ascending positions");
    }
  }
  return {};
}

}  // namespace

Transformer::Transformer(const Model& model, ThreadPool& pool, Rounding rounding)
    : model_(model),
      pool_(pool),
      rounding_(rounding),
      rope_(model.config().headDim, model.config().ropeTheta, model.config().maxPositions,
            model.config().ropeScaling) {}

Result<Pass> Transformer::begin(std::span<const codec::TokenId> rowTokens,
                                std::span<const uint32_t> rowPositions, OutputRows outputs,
                                size_t blockRows) const {
  SPOLIA_RETURN_IF_ERROR(checkRows(config(), rowTokens, rowPositions));
  Pass pass;
  pass.positions.assign(rowPositions.begin(), rowPositions.end());
  pass.outputs = outputs;
  pass.hidden = Matrix(rowTokens.size(), config().hiddenSize);
  pass.scratch = makeScratch(config(), std::min(rowTokens.size(), blockRows));
  const WeightMatrix& embedding = model_.weights().embedding();
  for (size_t r = 0; r < rowTokens.size(); ++r) {
    embedding.copyRow(rowTokens[r], pass.hidden.row(r));
  }
  return pass;
}

void Transformer::runLayer(Pass& pass, uint32_t layer, KvPages& pages) const {
  runRows(pass, layer, 0, pass.rows(), pages);
}

void Transformer::runRows(Pass& pass, uint32_t layer, size_t first, size_t count,
                          KvPages& pages) const {
  SPOLIA_CHECK(layer < config().layers && pages.layers() == config().layers);
  SPOLIA_CHECK(count > 0 && first + count <= pass.rows() && count <= pass.scratch.normed.rows());
  SPOLIA_CHECK(pass.positions[first + count - 1] < pages.capacityTokens());
  const bool prune = layer + 1 == config().layers && pass.outputs == OutputRows::kLast;
  const size_t firstOutput = prune ? pass.rows() - 1 : 0;
  runBlock(contextOf(layer), pass, pages,
           {first, count, firstOutput > first ? std::min(count, firstOutput - first) : 0});
}

LayerContext Transformer::contextOf(uint32_t layer) const {
  return {config(), model_.weights().layers()[layer], layer, rope_, pool_, rounding_};
}

// Each token once: text repeats itself.
Status Transformer::writeFirstLayer(std::span<const codec::TokenId> tokens,
                                    std::span<const uint32_t> positions, KvPages& pages) const {
  SPOLIA_CHECK(positions.size() == tokens.size());
  for (size_t r = 0; r < tokens.size(); ++r) {
    SPOLIA_CHECK(positions[r] < pages.capacityTokens());
    SPOLIA_RETURN_IF_ERROR(checkToken(config(), tokens[r], r));
  }
  std::vector<codec::TokenId> distinct(tokens.begin(), tokens.end());
  std::ranges::sort(distinct);
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  const WeightMatrix& embedding = model_.weights().embedding();
  const size_t most = std::min(distinct.size(), kDerivedRows);
  Matrix hidden(most, config().hiddenSize), normed(most, config().hiddenSize);
  Matrix k(most, config().kvChannels()), v(most, config().kvChannels());
  for (std::span<const codec::TokenId> left(distinct); !left.empty();) {
    const auto some = left.first(std::min(left.size(), most));
    left = left.subspan(some.size());
    for (size_t r = 0; r < some.size(); ++r) {
      embedding.copyRow(some[r], hidden.row(r));
    }
    projectKv(contextOf(0), hidden.view().rowRange(0, some.size()),
              normed.mutableView().rowRange(0, some.size()),
              k.mutableView().rowRange(0, some.size()), v.mutableView().rowRange(0, some.size()));
    pool_.parallelFor(tokens.size(), [&](size_t i) {
      const auto row = std::ranges::lower_bound(some, tokens[i]) - some.begin();
      const auto at = static_cast<size_t>(row);
      if (at == some.size() || some[at] != tokens[i]) return;
      pages.writeRow(0, positions[i], k.row(at), v.row(at));
    });
  }
  return {};
}

void Transformer::run(Pass& pass, KvPages& pages) const {
  for (uint32_t layer = 0; layer < config().layers; ++layer) runLayer(pass, layer, pages);
}

std::vector<float> Transformer::logits(const Pass& pass, size_t row) const {
  SPOLIA_CHECK(row < pass.rows());
  SPOLIA_CHECK(pass.outputs == OutputRows::kAll || row + 1 == pass.rows());
  const Weights& weights = model_.weights();
  Matrix normed(1, config().hiddenSize);
  rmsNorm(pass.hidden.row(row), weights.finalNorm().row(0), config().hiddenSize, config().rmsEps,
          normed.row(0));
  std::vector<float> logits(config().vocabSize);
  multiply(normed.view(), weights.head(), MutableMatrixView(logits.data(), 1, logits.size()),
           Accumulate::kReplace, pool_, rounding_);
  return logits;
}

}  // namespace spolia::engine
