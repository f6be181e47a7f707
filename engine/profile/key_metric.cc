#include "engine/profile/key_metric.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "codec/kv_layout.h"
#include "engine/kernels/rope.h"
#include "engine/profile/judge.h"
#include "engine/profile/symmetric_matrix.h"
#include "engine/transformer/attention.h"
#include "engine/transformer/kv_pages.h"

namespace spolia::engine {
namespace {

// Queries close to each other see the same keys: every so many-th is looked at, behind the first.
constexpr uint32_t kQueryStride = 5;
constexpr uint32_t kFirstQuery = 16;
// Of each metric: counts as if all directions mattered alike. No direction is free.
constexpr float kEven = 0.1f;
// Pairs below this share of a query's attention add nothing that could be seen.
constexpr float kLeastAttention = 1e-3f;

// One layer of a passage that was computed.
struct LayerState {
  const ModelConfig& config;
  const RopeTable& rope;
  uint32_t window;             // of the layer
  const Pass& pass;            // queries turned to their positions and scaled, and their outputs
  std::vector<float> rows;     // [token][K, V][channel], K before RoPE
  std::vector<float> rotated;  // [token][channel] of K

  const float* key(uint32_t t, uint32_t head) const {
    return rotated.data() + (size_t{t} * config.kvHeads + head) * config.headDim;
  }
  const float* value(uint32_t t, uint32_t head) const {
    return rows.data() + ((size_t{t} * 2 + 1) * config.kvHeads + head) * config.headDim;
  }
};

LayerState stateOf(const Model& model, const RopeTable& rope, const Pass& pass,
                   const KvPages& pages, uint32_t layer) {
  const ModelConfig& config = model.config();
  const auto tokens = static_cast<uint32_t>(pass.rows());
  const size_t channels = size_t{config.kvHeads} * config.headDim;
  LayerState state{config,
                   rope,
                   config.windowOf(layer),
                   pass,
                   std::vector<float>(tokens * 2 * channels),
                   std::vector<float>(tokens * channels)};
  pages.exportRows(layer, 0, tokens,
                   sampleMemory(reinterpret_cast<std::byte*>(state.rows.data()),
                                codec::ElementType::kF32, {1, config.kvHeads, config.headDim}));
  for (uint32_t t = 0; t < tokens; ++t) {
    for (size_t c = 0; c < channels; c += config.headDim) {
      rotateHead(state.rows.data() + size_t{t} * 2 * channels + c, rope.at(t), config.headDim, 1.0f,
                 state.rotated.data() + t * channels + c);
    }
  }
  return state;
}

float dot(const float* a, const float* b, uint32_t count) {
  return std::inner_product(a, a + count, b, 0.0f);
}

// Attention of a query at row p over rows 0 .. p; none on those before its window.
std::vector<float> attentionOf(const LayerState& state, const float* query, uint32_t p,
                               uint32_t kvHead) {
  std::vector<float> out(p + 1);
  for (uint32_t t = firstKeyOf(p, state.window); t <= p; ++t) {
    out[t] = dot(query, state.key(t, kvHead), state.config.headDim);
  }
  const std::span<float> scores = std::span(out).subspan(firstKeyOf(p, state.window));
  const float most = *std::ranges::max_element(scores);
  float sum = 0;
  for (float& score : scores) sum += score = std::exp(score - most);
  for (float& score : scores) score /= sum;
  return out;
}

// Adds w q q' of one query and all keys it sees.
void addQuery(const LayerState& state, uint32_t p, uint32_t head, Matrix& metric) {
  const uint32_t dim = state.config.headDim;
  const uint32_t kvHead = head / (state.config.heads / state.config.kvHeads);
  const float* query = state.pass.scratch.q.row(p) + size_t{head} * dim;
  const float* output = state.pass.scratch.attended.row(p) + size_t{head} * dim;
  const std::vector<float> attention = attentionOf(state, query, p, kvHead);
  std::vector<float> turned(dim);
  for (uint32_t t = 1; t <= p; ++t) {  // BOS is never coded
    if (attention[t] < kLeastAttention) continue;
    float moved = 0;
    for (uint32_t c = 0; c < dim; ++c) {
      const float d = state.value(t, kvHead)[c] - output[c];
      moved += d * d;
    }
    rotateHeadBack(query, state.rope.at(t), dim, turned.data());
    const float weight = attention[t] * attention[t] * moved;
    for (uint32_t i = 0; i < dim; ++i) {
      const float factor = weight * turned[i];
      for (uint32_t j = 0; j < dim; ++j) metric.row(i)[j] += factor * turned[j];
    }
  }
}

void normalise(Matrix& metric) {
  const size_t dim = metric.rows();
  float mean = 0;
  for (size_t i = 0; i < dim; ++i) mean += metric.at(i, i) / static_cast<float>(dim);
  for (size_t i = 0; i < dim; ++i) {
    for (size_t j = 0; j < dim; ++j) {
      const float even = i == j ? 1.0f : 0.0f;
      const float own = mean > 0 ? metric.at(i, j) / mean : even;
      metric.at(i, j) = (1 - kEven) * own + kEven * even;
    }
  }
}

}  // namespace

Result<std::vector<Matrix>> measureKeyMetrics(const Model& model, const Transformer& transformer,
                                              std::span<const Passage> passages, ThreadPool& pool) {
  const ModelConfig& config = model.config();
  std::vector<Matrix> metrics;
  for (uint32_t i = 0; i < config.layers * config.kvHeads; ++i) {
    metrics.push_back(Matrix::zeroed(config.headDim, config.headDim));
  }
  const uint32_t group = config.heads / config.kvHeads;
  for (const Passage& passage : passages) {
    std::vector<codec::TokenId> tokens = {config.bosToken};
    tokens.insert(tokens.end(), passage.cached.begin(), passage.cached.end());
    std::vector<uint32_t> positions(tokens.size());
    std::iota(positions.begin(), positions.end(), 0);
    KvPages pages(config, codec::ElementType::kF32, static_cast<uint32_t>(tokens.size()));
    SPOLIA_ASSIGN_OR_RETURN(Pass pass, transformer.begin(tokens, positions));
    for (uint32_t layer = 0; layer < config.layers; ++layer) {
      transformer.runLayer(pass, layer, pages);
      const LayerState state = stateOf(model, transformer.rope(), pass, pages, layer);
      pool.parallelFor(config.kvHeads, [&](size_t kvHead) {
        for (auto head = static_cast<uint32_t>(kvHead) * group; head < (kvHead + 1) * group;
             ++head) {
          for (uint32_t p = kFirstQuery; p < tokens.size(); p += kQueryStride) {
            addQuery(state, p, head, metrics[size_t{layer} * config.kvHeads + kvHead]);
          }
        }
      });
    }
  }
  for (Matrix& metric : metrics) normalise(metric);
  return metrics;
}

Result<MetricRoot> rootOf(const Matrix& metric) {
  Matrix vectors = Matrix::copyOf(metric.view());
  SPOLIA_ASSIGN_OR_RETURN(const std::vector<float> values, decompose(vectors));
  const size_t dim = metric.rows();
  MetricRoot out{Matrix::zeroed(dim, dim), Matrix::zeroed(dim, dim)};
  for (size_t k = 0; k < dim; ++k) {
    const float root = std::sqrt(std::max(values[k], 1e-6f));
    for (size_t i = 0; i < dim; ++i) {
      for (size_t j = 0; j < dim; ++j) {
        const float both = vectors.row(k)[i] * vectors.row(k)[j];
        out.root.at(i, j) += both * root;
        out.inverse.at(i, j) += both / root;
      }
    }
  }
  return out;
}

}  // namespace spolia::engine
