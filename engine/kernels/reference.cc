#include "engine/kernels/reference.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

namespace spolia::engine::reference {

Matrix multiply(const MatrixView& in, const MatrixView& weight) {
  SPOLIA_CHECK(in.columns() == weight.columns());
  Matrix out(in.rows(), weight.rows());
  for (size_t r = 0; r < in.rows(); ++r) {
    for (size_t c = 0; c < weight.rows(); ++c) {
      double sum = 0;
      for (size_t i = 0; i < in.columns(); ++i) {
        sum += static_cast<double>(in.at(r, i)) * weight.at(c, i);
      }
      out.at(r, c) = static_cast<float>(sum);
    }
  }
  return out;
}

void rmsNorm(const float* in, const float* weight, size_t n, float eps, float* out) {
  double squares = 0;
  for (size_t i = 0; i < n; ++i) squares += static_cast<double>(in[i]) * in[i];
  const double factor = 1.0 / std::sqrt(squares / static_cast<double>(n) + eps);
  for (size_t i = 0; i < n; ++i) out[i] = static_cast<float>(in[i] * factor * weight[i]);
}

void siluMultiply(const float* gate, const float* up, size_t n, float* out) {
  for (size_t i = 0; i < n; ++i) {
    const double g = gate[i];
    out[i] = static_cast<float>(g / (1.0 + std::exp(-g)) * up[i]);
  }
}

void rotateHead(const float* in, uint32_t position, float theta, size_t headDim, float* out) {
  const size_t half = headDim / 2;
  for (size_t i = 0; i < half; ++i) {
    const double exponent = 2.0 * static_cast<double>(i) / static_cast<double>(headDim);
    const float frequency = static_cast<float>(std::pow(static_cast<double>(theta), -exponent));
    const double angle = static_cast<float>(position) * frequency;
    const double cosine = std::cos(angle), sine = std::sin(angle);
    const double a = in[i], b = in[i + half];
    out[i] = static_cast<float>(a * cosine - b * sine);
    out[i + half] = static_cast<float>(b * cosine + a * sine);
  }
}

void softmax(float* scores, size_t n) {
  const double top = *std::max_element(scores, scores + n);
  double sum = 0;
  for (size_t i = 0; i < n; ++i) sum += std::exp(scores[i] - top);
  for (size_t i = 0; i < n; ++i) scores[i] = static_cast<float>(std::exp(scores[i] - top) / sum);
}

void attend(const float* q, const MatrixView& keys, const MatrixView& values, float* out) {
  const size_t headDim = keys.columns();
  std::vector<float> scores(keys.rows());
  for (size_t key = 0; key < keys.rows(); ++key) {
    double sum = 0;
    for (size_t i = 0; i < headDim; ++i) sum += static_cast<double>(q[i]) * keys.at(key, i);
    scores[key] = static_cast<float>(sum / std::sqrt(static_cast<double>(headDim)));
  }
  softmax(scores.data(), scores.size());
  for (size_t i = 0; i < headDim; ++i) {
    double sum = 0;
    for (size_t key = 0; key < keys.rows(); ++key) {
      sum += static_cast<double>(scores[key]) * values.at(key, i);
    }
    out[i] = static_cast<float>(sum);
  }
}

float widenF16(uint16_t bits) {
  const uint32_t exponent = bits >> 10 & 0x1f, mantissa = bits & 0x3ff;
  const float sign = (bits & 0x8000) != 0 ? -1.0f : 1.0f;
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(mantissa), -24);
  if (exponent == 31) {
    return std::bit_cast<float>((bits & 0x8000u) << 16 | 0x7f800000u | mantissa << 13);
  }
  return sign * std::ldexp(static_cast<float>(mantissa | 0x400), static_cast<int>(exponent) - 25);
}

float widenBf16(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

uint16_t narrowF16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>(bits >> 16 & 0x8000);
  if (std::isnan(value)) return sign | 0x7e00 | static_cast<uint16_t>(bits >> 13 & 0x3ff);
  const double magnitude = std::fabs(static_cast<double>(value));
  if (magnitude == 0) return sign;
  if (magnitude >= 65520.0) return sign | 0x7c00;  // halfway to 65536 rounds up, to infinity
  // In units of the last place: 2^-24 for subnormals, else 2^(exponent - 10). nearbyint rounds ties
  // to even; a carry into the next exponent comes out right because the fields are adjacent.
  int exponent = 0;
  std::frexp(magnitude, &exponent);
  const int lastPlace = std::max(exponent - 11, -24);
  const auto units = static_cast<uint16_t>(std::nearbyint(std::ldexp(magnitude, -lastPlace)));
  if (lastPlace == -24) return sign | units;
  return sign | static_cast<uint16_t>(((lastPlace + 24) << 10) + units);
}

uint16_t narrowBf16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if (std::isnan(value)) return static_cast<uint16_t>(bits >> 16 | 0x40);
  const uint32_t odd = bits >> 16 & 1;
  return static_cast<uint16_t>((bits + 0x7fff + odd) >> 16);
}

}  // namespace spolia::engine::reference
