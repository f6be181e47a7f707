#include "engine/profile/token_codes.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "codec/lossy/profile.h"
#include "engine/kernels/gemm.h"
#include "engine/profile/symmetric_matrix.h"
#include "engine/transformer/kv_pages.h"

namespace spolia::engine {
namespace {

constexpr double kTokenRidge = 1e-3;
// So many occurrences of a token count as much as what is expected of it.
constexpr float kPriorCount = 12;
constexpr float kWideReach = 127;
constexpr uint32_t kTokensAtOnce = 256;

// Sums of `rows` over the occurrences of each token, and their number.
struct TokenSums {
  Matrix sums;  // [token][column]
  std::vector<float> counts;
};

TokenSums sumByToken(std::span<const codec::TokenId> tokens, const Matrix& rows,
                     size_t vocabulary) {
  TokenSums out{Matrix::zeroed(vocabulary, rows.columns()), std::vector<float>(vocabulary)};
  for (size_t i = 0; i < tokens.size(); ++i) {
    ++out.counts[tokens[i]];
    float* to = out.sums.row(tokens[i]);
    for (size_t c = 0; c < rows.columns(); ++c) to[c] += rows.row(i)[c];
  }
  return out;
}

// Columns of mean 0 and variance 1 over the samples' tokens.
Matrix standardised(const Matrix& features, const std::vector<float>& counts) {
  const size_t columns = features.columns();
  std::vector<double> mean(columns), square(columns);
  double total = 0;
  for (size_t t = 0; t < features.rows(); ++t) {
    total += double{counts[t]};
    for (size_t c = 0; c < columns && counts[t] > 0; ++c) {
      const double f = features.row(t)[c];
      mean[c] += double{counts[t]} * f;
      square[c] += double{counts[t]} * f * f;
    }
  }
  Matrix out(features.rows(), columns);
  for (size_t c = 0; c < columns; ++c) {
    mean[c] /= total;
    const double variance = std::max(square[c] / total - mean[c] * mean[c], 1e-12);
    for (size_t t = 0; t < features.rows(); ++t) {
      out.row(t)[c] = static_cast<float>((features.row(t)[c] - mean[c]) / std::sqrt(variance));
    }
  }
  return out;
}

// [a column][b column]: products summed over rows, row t counted `weight[t]` times.
Matrix products(const Matrix& a, const Matrix& b, const std::vector<float>* weight) {
  Matrix left = turned(a.view());
  if (weight != nullptr) {
    for (size_t c = 0; c < left.rows(); ++c) {
      for (size_t t = 0; t < left.columns(); ++t) left.row(c)[t] *= (*weight)[t];
    }
  }
  const Matrix right = turned(b.view());
  Matrix out(left.rows(), right.rows());
  multiplyAlone(left.view(), right.view(), out.mutableView(), Accumulate::kReplace);
  return out;
}

// The expected row of every token.
Result<Matrix> expectedRows(const Matrix& features, const TokenSums& seen) {
  Matrix gram = products(features, features, &seen.counts);
  Matrix map = products(seen.sums, features, nullptr);  // [column][feature]
  SPOLIA_RETURN_IF_ERROR(solveRows(gram, kTokenRidge, map));
  Matrix out(features.rows(), seen.sums.columns());
  multiplyAlone(features.view(), map.view(), out.mutableView(), Accumulate::kReplace);
  for (size_t t = 0; t < out.rows(); ++t) {
    for (size_t c = 0; c < out.columns(); ++c) {
      float& value = out.row(t)[c];
      value = (seen.sums.row(t)[c] + kPriorCount * value) / (seen.counts[t] + kPriorCount);
    }
  }
  return out;
}

float rounded(float value, float unit, float reach) {
  return std::clamp(std::round(value / unit), -reach, reach);
}

// The unit that errs least over the samples' tokens: few numbers are better spent on the many than
// on the one that is largest.
float bestUnit(const Matrix& coefficients, const std::vector<float>& counts, uint32_t column,
               float reach) {
  float most = 1e-12f;
  for (size_t t = 0; t < coefficients.rows(); ++t) {
    most = std::max(most, std::fabs(coefficients.row(t)[column]));
  }
  float best = most / reach;
  double least = INFINITY;
  for (float share = 1; share > 0.15f; share *= 0.9f) {
    const float unit = share * most / reach;
    double error = 0;
    for (size_t t = 0; t < coefficients.rows(); ++t) {
      const float value = coefficients.row(t)[column];
      const double off = double{value} - double{unit * rounded(value, unit, reach)};
      error += (double{counts[t]} + kPriorCount / 8.0) * off * off;
    }
    if (error < least) {
      least = error;
      best = unit;
    }
  }
  return best;
}

}  // namespace

Result<Matrix> lonelyRows(const Model& model, const Transformer& transformer,
                          const KvShape& shape) {
  const ModelConfig& config = model.config();
  const uint32_t most = std::min({kTokensAtOnce, config.vocabSize, config.maxPositions - 1});
  KvPages pages(config, codec::ElementType::kF32, 1 + most);
  Matrix out(config.vocabSize, shape.columns());
  const codec::TokenId bos = config.bosToken;
  const uint32_t first = 0;
  SPOLIA_ASSIGN_OR_RETURN(Pass bosPass, transformer.begin({&bos, 1}, {&first, 1}));
  transformer.run(bosPass, pages);
  for (uint32_t begin = 0; begin < config.vocabSize; begin += most) {
    const uint32_t count = std::min(most, config.vocabSize - begin);
    std::vector<codec::TokenId> tokens(count);
    std::vector<uint32_t> places(count);
    std::iota(tokens.begin(), tokens.end(), begin);
    std::iota(places.begin(), places.end(), 1);
    SPOLIA_ASSIGN_OR_RETURN(Pass pass, transformer.begin(tokens, places, OutputRows::kLast));
    pass.context = RowContext::kAlone;
    transformer.run(pass, pages);
    for (uint32_t layer = 0; layer < shape.layers; ++layer) {
      pages.exportRows(layer, 1, count,
                       sampleMemory(reinterpret_cast<std::byte*>(out.row(begin)),
                                    codec::ElementType::kF32, shape, layer));
    }
  }
  return out;
}

Result<TokenCodes> learnTokenCodes(const Matrix& features, std::span<const codec::TokenId> tokens,
                                   const Matrix& rows, uint32_t rank, uint32_t wide) {
  const TokenSums seen = sumByToken(tokens, rows, features.rows());
  SPOLIA_ASSIGN_OR_RETURN(const Matrix expected,
                          expectedRows(standardised(features, seen.counts), seen));
  Matrix directions = products(expected, expected, &seen.counts);
  SPOLIA_RETURN_IF_ERROR(decompose(directions).status());
  const MatrixView largest = directions.view().rowRange(directions.rows() - rank, rank);
  Matrix coefficients(expected.rows(), rank);
  multiplyAlone(expected.view(), largest, coefficients.mutableView(), Accumulate::kReplace);

  TokenCodes out{rank, wide, std::vector<int8_t>(expected.rows() * rank)};
  for (uint32_t i = 0; i < rank; ++i) {
    // The largest direction comes last.
    const uint32_t direction = rank - 1 - i;
    const float reach = i < wide ? kWideReach : float{codec::kNarrowCodeReach};
    const float unit = bestUnit(coefficients, seen.counts, direction, reach);
    for (size_t t = 0; t < expected.rows(); ++t) {
      out.codes[t * rank + i] =
          static_cast<int8_t>(rounded(coefficients.row(t)[direction], unit, reach));
    }
  }
  return out;
}

}  // namespace spolia::engine
