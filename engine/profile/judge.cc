#include "engine/profile/judge.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "codec/base/check.h"
#include "codec/values/half.h"
#include "engine/kernels/norm.h"
#include "engine/kernels/rope.h"

namespace spolia::engine {

using codec::ElementType;

namespace {

std::vector<uint32_t> positionsFrom(uint32_t first, size_t count) {
  std::vector<uint32_t> positions(count);
  std::iota(positions.begin(), positions.end(), first);
  return positions;
}

codec::KvView viewOf(const float* values, const KvShape& shape, uint32_t layer) {
  return sampleMemory(reinterpret_cast<const std::byte*>(values), ElementType::kF32, shape, layer);
}
codec::KvTarget targetOf(float* values, const KvShape& shape, uint32_t layer) {
  return sampleMemory(reinterpret_cast<std::byte*>(values), ElementType::kF32, shape, layer);
}

float roundedToF16(float value) {
  return codec::f32FromF16(codec::f16FromF32(std::clamp(value, -codec::kMaxF16, codec::kMaxF16)));
}

void toLogProbabilities(std::span<float> logits) {
  const float most = *std::ranges::max_element(logits);
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit - most));
  const auto shift = static_cast<float>(most + std::log(sum));
  for (float& logit : logits) logit -= shift;
}

double divergence(std::span<const float> reference, std::span<const float> measured) {
  double sum = 0;
  for (size_t i = 0; i < reference.size(); ++i) {
    const auto log = static_cast<double>(reference[i]);
    sum += std::exp(log) * (log - static_cast<double>(measured[i]));
  }
  return sum;
}

bool sameChoice(std::span<const float> a, std::span<const float> b) {
  return std::ranges::max_element(a) - a.begin() == std::ranges::max_element(b) - b.begin();
}

std::span<const float> rowOf(const Matrix& matrix, size_t row) {
  return {matrix.data() + row * matrix.columns(), matrix.columns()};
}

// Of one passage: sums over its rows, to be divided by their number.
Agreement sumsOver(const Matrix& reference, const Matrix& measured, ThreadPool& pool) {
  std::vector<Agreement> rows(reference.rows());
  pool.parallelFor(rows.size(), [&](size_t r) {
    rows[r].kl = divergence(rowOf(reference, r), rowOf(measured, r));
    rows[r].top1 = sameChoice(rowOf(reference, r), rowOf(measured, r)) ? 1 : 0;
  });
  Agreement out;
  for (const Agreement& row : rows) out.kl += row.kl, out.top1 += row.top1;
  return out;
}

Agreement operator+(const Agreement& a, const Agreement& b) {
  return {a.kl + b.kl, a.top1 + b.top1};
}
Agreement operator/(const Agreement& sums, size_t rows) {
  return {sums.kl / static_cast<double>(rows), sums.top1 / static_cast<double>(rows)};
}

}  // namespace

KvShape shapeOf(const ModelConfig& config) {
  return {config.layers, config.kvHeads, config.headDim};
}

Judge::Judge(const Model& model, const Transformer& transformer, ThreadPool& pool)
    : model_(model), transformer_(transformer), pool_(pool), shape_(shapeOf(model.config())) {}

KvPages Judge::makePages(size_t rows) const {
  return KvPages(model_.config(), ElementType::kF32, static_cast<uint32_t>(rows));
}

Result<std::vector<KvSample>> Judge::sample(std::span<const Passage> passages) const {
  std::vector<KvSample> samples;
  for (const Passage& passage : passages) {
    std::vector<codec::TokenId> rows = {model_.config().bosToken};
    rows.insert(rows.end(), passage.cached.begin(), passage.cached.end());
    KvPages pages = makePages(rows.size());
    SPOLIA_ASSIGN_OR_RETURN(
        Pass pass, transformer_.begin(rows, positionsFrom(0, rows.size()), OutputRows::kLast));
    transformer_.run(pass, pages);
    KvSample& out = samples.emplace_back(
        KvSample{passage.cached, std::vector<float>(passage.cached.size() * shape_.columns())});
    for (uint32_t layer = 0; layer < shape_.layers; ++layer) {
      pages.exportRows(layer, 1, static_cast<uint32_t>(passage.cached.size()),
                       targetOf(out.values.data(), shape_, layer));
    }
    for (float& value : out.values) value = roundedToF16(value);
  }
  return samples;
}

Status Judge::computeBos() {
  KvPages pages = makePages(1);
  const codec::TokenId bos = model_.config().bosToken;
  const uint32_t position = 0;
  SPOLIA_ASSIGN_OR_RETURN(Pass pass, transformer_.begin({&bos, 1}, {&position, 1}));
  transformer_.run(pass, pages);
  bos_.resize(shape_.columns());
  for (uint32_t layer = 0; layer < shape_.layers; ++layer) {
    pages.exportRows(layer, 0, 1, targetOf(bos_.data(), shape_, layer));
  }
  return Status();
}

// Puts the BOS row at position 0, its keys turned so that they look as if they stood at
// -`turnedBack`: attention sees the differences of positions alone.
void Judge::importBos(KvPages& pages, uint32_t turnedBack) const {
  std::vector<float> row = bos_;
  if (turnedBack > 0) {
    const RopeTable::Angles angles = transformer_.rope().at(turnedBack);
    for (uint32_t head = 0; head < shape_.layers * shape_.kvHeads; ++head) {
      const uint32_t layer = head / shape_.kvHeads;
      float* key = row.data() + layer * 2 * shape_.channels() +
                   size_t{head % shape_.kvHeads} * shape_.headDim;
      rotateHeadBack(key, angles, shape_.headDim, key);
    }
  }
  for (uint32_t layer = 0; layer < shape_.layers; ++layer) {
    pages.importRows(layer, 0, 1, viewOf(row.data(), shape_, layer));
  }
}

Result<Matrix> Judge::predict(const Passage& passage, uint32_t firstPosition,
                              KvPages& pages) const {
  SPOLIA_ASSIGN_OR_RETURN(
      Pass pass, transformer_.begin(passage.continued,
                                    positionsFrom(firstPosition, passage.continued.size())));
  transformer_.run(pass, pages);
  const ModelConfig& config = model_.config();
  for (size_t r = 0; r < pass.rows(); ++r) {
    rmsNorm(pass.hidden.row(r), model_.weights().finalNorm().row(0), config.hiddenSize,
            config.rmsEps, pass.hidden.row(r));
  }
  Matrix out(pass.rows(), config.vocabSize);
  multiply(pass.hidden.view(), model_.weights().head(), out.mutableView(), Accumulate::kReplace,
           pool_);
  pool_.parallelFor(out.rows(), [&](size_t r) { toLogProbabilities({out.row(r), out.columns()}); });
  return out;
}

Result<Matrix> Judge::predictOver(const Passage& passage, std::span<const float> values,
                                  KvPages& pages) const {
  SPOLIA_CHECK(values.size() == passage.cached.size() * shape_.columns());
  const auto cached = static_cast<uint32_t>(passage.cached.size());
  for (uint32_t layer = 0; layer < shape_.layers; ++layer) {
    pages.importRows(layer, 1, cached, viewOf(values.data(), shape_, layer));
  }
  return predict(passage, 1 + cached, pages);
}

Status Judge::setReference(std::vector<Passage> passages) {
  for (const Passage& passage : passages) {
    if (passage.continued.empty() || passage.cached.size() != passages[0].cached.size() ||
        passage.continued.size() != passages[0].continued.size()) {
      return Status(ErrorCode::kInvalidArgument, "passages of different length, or not continued");
    }
  }
  if (passages.empty()) return Status(ErrorCode::kInvalidArgument, "no passages");
  SPOLIA_RETURN_IF_ERROR(computeBos());
  SPOLIA_ASSIGN_OR_RETURN(samples_, sample(passages));
  passages_ = std::move(passages);
  reference_.clear();
  KvPages pages = makePages(1 + passages_[0].cached.size() + passages_[0].continued.size());
  importBos(pages, 0);
  for (size_t i = 0; i < passages_.size(); ++i) {
    SPOLIA_ASSIGN_OR_RETURN(Matrix predicted, predictOver(passages_[i], samples_[i].values, pages));
    reference_.push_back(std::move(predicted));
  }
  return Status();
}

Result<Agreement> Judge::compare(std::span<const std::vector<float>> restored) const {
  SPOLIA_CHECK(!passages_.empty() && restored.size() == passages_.size());
  const size_t continued = passages_[0].continued.size();
  KvPages pages = makePages(1 + passages_[0].cached.size() + continued);
  importBos(pages, 0);
  Agreement sums;
  for (size_t i = 0; i < passages_.size(); ++i) {
    SPOLIA_ASSIGN_OR_RETURN(const Matrix measured, predictOver(passages_[i], restored[i], pages));
    sums = sums + sumsOver(reference_[i], measured, pool_);
  }
  return sums / (passages_.size() * continued);
}

// The rows stand right behind BOS, which is turned back by as much as they are moved: no mask is
// needed, and every distance is what it was.
Result<Agreement> Judge::compareRemoved() const {
  SPOLIA_CHECK(!passages_.empty());
  const size_t continued = passages_[0].continued.size();
  KvPages pages = makePages(1 + continued);
  importBos(pages, static_cast<uint32_t>(passages_[0].cached.size()));
  Agreement sums;
  for (size_t i = 0; i < passages_.size(); ++i) {
    SPOLIA_ASSIGN_OR_RETURN(const Matrix measured, predict(passages_[i], 1, pages));
    sums = sums + sumsOver(reference_[i], measured, pool_);
  }
  return sums / (passages_.size() * continued);
}

double Judge::crossEntropy() const {
  double sum = 0;
  size_t count = 0;
  for (size_t i = 0; i < passages_.size(); ++i) {
    const std::vector<codec::TokenId>& tokens = passages_[i].continued;
    for (size_t r = 0; r + 1 < tokens.size(); ++r, ++count) {
      sum -= static_cast<double>(rowOf(reference_[i], r)[tokens[r + 1]]);
    }
  }
  return count == 0 ? 0 : sum / static_cast<double>(count);
}

}  // namespace spolia::engine
