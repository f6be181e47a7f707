#include "tests/support/reference_forward.h"

#include <algorithm>
#include <cmath>

#include "engine/kernels/reference.h"

namespace spolia::engine::test {

namespace {

using codec::ElementType;

// A matrix in double.
struct Wide {
  Wide(size_t height, size_t width) : columns(width), values(height * width) {}
  double& at(size_t r, size_t c) { return values[r * columns + c]; }
  double at(size_t r, size_t c) const { return values[r * columns + c]; }
  size_t rows() const { return values.size() / columns; }

  size_t columns;
  std::vector<double> values;
};

// in * weight^T + bias, where there is one.
Wide multiply(const Wide& in, const WeightMatrix& packed, const Matrix& bias = {}) {
  const Matrix weight = packed.unpacked();
  Wide out(in.rows(), weight.rows());
  for (size_t r = 0; r < in.rows(); ++r) {
    for (size_t c = 0; c < weight.rows(); ++c) {
      double sum = bias.empty() ? 0.0 : bias.at(0, c);
      for (size_t i = 0; i < in.columns; ++i) sum += in.at(r, i) * weight.at(c, i);
      out.at(r, c) = sum;
    }
  }
  return out;
}

// Of each row, in parts as long as the weights; none without weights.
Wide norm(const Wide& in, const Matrix& weight, double eps) {
  Wide out = in;
  const size_t part = weight.columns();
  for (size_t first = 0; part > 0 && first < in.values.size(); first += part) {
    double squares = 0;
    for (size_t i = 0; i < part; ++i) squares += in.values[first + i] * in.values[first + i];
    const double factor = 1.0 / std::sqrt(squares / static_cast<double>(part) + eps);
    for (size_t i = 0; i < part; ++i) out.values[first + i] *= factor * weight.at(0, i);
  }
  return out;
}

float rounded(double value, ElementType type) {
  const auto f32 = static_cast<float>(value);
  switch (type) {
    case ElementType::kF16:
      return reference::widenF16(reference::narrowF16(f32));
    case ElementType::kBf16:
      return reference::widenBf16(reference::narrowBf16(f32));
    case ElementType::kF32:
      break;
  }
  return f32;
}

Wide toPage(const Wide& in, ElementType type) {
  Wide out = in;
  for (double& value : out.values) value = rounded(value, type);
  return out;
}

Matrix narrowed(const Wide& in) {
  Matrix out(in.rows(), in.columns);
  for (size_t i = 0; i < in.values.size(); ++i) out.data()[i] = static_cast<float>(in.values[i]);
  return out;
}

// By formula in double, but for the rounding that angles have (rope.h).
float frequencyOf(const ModelConfig& config, size_t pair) {
  const RopeScaling& scaling = config.ropeScaling;
  const double exponent = 2.0 * static_cast<double>(pair) / config.headDim;
  const double plain = std::pow(double{config.ropeTheta}, -exponent);
  const double turns = scaling.originalPositions * plain / (2 * M_PI);  // in the first training
  double divided = 0;                                                   // share that is scaled
  if (scaling.kind == RopeKind::kLinear) divided = 1;
  if (scaling.kind == RopeKind::kLlama3) {
    divided = 1 - (turns - scaling.lowFrequencyFactor) /
                      (scaling.highFrequencyFactor - scaling.lowFrequencyFactor);
  }
  if (scaling.kind == RopeKind::kYarn) {
    const auto pairOf = [&](double times) {
      return config.headDim * std::log(scaling.originalPositions / (times * 2 * M_PI)) /
             (2 * std::log(double{config.ropeTheta}));
    };
    double low = pairOf(scaling.betaFast), high = pairOf(scaling.betaSlow);
    if (scaling.truncate) low = std::floor(low), high = std::ceil(high);
    low = std::max(low, 0.0);
    divided = (static_cast<double>(pair) - low) / (std::min(high, config.headDim - 1.0) - low);
  }
  divided = std::clamp(divided, 0.0, 1.0);
  return static_cast<float>(plain * (1 - divided) + plain / scaling.factor * divided);
}

// Half-split rotation of every head; no positions: row r stands at position r.
void rotate(const ModelConfig& config, std::span<const uint32_t> positions, Wide& rows) {
  const size_t half = config.headDim / 2;
  for (size_t r = 0; r < rows.rows(); ++r) {
    for (size_t first = 0; first < rows.columns; first += config.headDim) {
      for (size_t i = 0; i < half; ++i) {
        const double angle =
            static_cast<float>(positions.empty() ? r : positions[r]) * frequencyOf(config, i);
        const double cosine = std::cos(angle) * config.ropeScaling.attentionFactor;
        const double sine = std::sin(angle) * config.ropeScaling.attentionFactor;
        double& a = rows.at(r, first + i);
        double& b = rows.at(r, first + half + i);
        const double turned = a * cosine - b * sine;
        b = b * cosine + a * sine;
        a = turned;
      }
    }
  }
}

// Row r stands at position r, and sees `window` keys at most unless that is 0.
Wide attention(const ModelConfig& config, uint32_t window, const Wide& q, const Wide& k,
               const Wide& v) {
  Wide out(q.rows(), q.columns);
  const size_t dim = config.headDim, group = config.heads / config.kvHeads;
  std::vector<double> weights(q.rows());
  for (size_t r = 0; r < q.rows(); ++r) {
    for (size_t head = 0; head < config.heads; ++head) {
      const size_t mine = head * dim, theirs = head / group * dim;
      const size_t first = window > 0 && r >= window ? r - window + 1 : 0;
      double sum = 0;
      for (size_t key = first; key <= r; ++key) {
        double score = 0;
        for (size_t i = 0; i < dim; ++i) score += q.at(r, mine + i) * k.at(key, theirs + i);
        weights[key] = std::exp(score / std::sqrt(static_cast<double>(dim)));
        sum += weights[key];
      }
      for (size_t key = first; key <= r; ++key) {
        for (size_t i = 0; i < dim; ++i) {
          out.at(r, mine + i) += weights[key] / sum * v.at(key, theirs + i);
        }
      }
    }
  }
  return out;
}

void add(Wide& to, const Wide& what) {
  for (size_t i = 0; i < to.values.size(); ++i) to.values[i] += what.values[i];
}

}  // namespace

ReferenceResult referenceForward(const Model& model, std::span<const codec::TokenId> tokens,
                                 ElementType pageType, std::span<const uint32_t> positions) {
  const ModelConfig& config = model.config();
  const Weights& weights = model.weights();
  ReferenceResult result;
  Wide x(tokens.size(), config.hiddenSize);
  const Matrix embedding = weights.embedding().unpacked();
  for (size_t r = 0; r < tokens.size(); ++r) {
    for (size_t i = 0; i < x.columns; ++i) x.at(r, i) = embedding.at(tokens[r], i);
  }
  for (uint32_t index = 0; index < config.layers; ++index) {
    const LayerWeights& layer = weights.layers()[index];
    const Wide h = norm(x, layer.attnNorm, config.rmsEps);
    Wide q = norm(multiply(h, layer.q, layer.qBias), layer.qNorm, config.rmsEps);
    Wide k = norm(multiply(h, layer.k, layer.kBias), layer.kNorm, config.rmsEps);
    k = toPage(k, pageType);
    const Wide v = toPage(multiply(h, layer.v, layer.vBias), pageType);
    result.k.push_back(narrowed(k));
    result.v.push_back(narrowed(v));
    rotate(config, positions, q);
    rotate(config, positions, k);
    const Wide attended = attention(config, config.windowOf(index), q, k, v);
    add(x, multiply(attended, layer.o, layer.oBias));

    const Wide f = norm(x, layer.ffnNorm, config.rmsEps);
    Wide gate = multiply(f, layer.gate);
    const Wide up = multiply(f, layer.up);
    for (size_t i = 0; i < gate.values.size(); ++i) {
      gate.values[i] = gate.values[i] / (1.0 + std::exp(-gate.values[i])) * up.values[i];
    }
    add(x, multiply(gate, layer.down));
  }
  result.hidden = narrowed(x);
  result.logits = narrowed(multiply(norm(x, weights.finalNorm(), config.rmsEps), weights.head()));
  return result;
}

}  // namespace spolia::engine::test
