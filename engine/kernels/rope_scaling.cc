#include "engine/kernels/rope_scaling.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "codec/base/check.h"

namespace spolia::engine {

namespace {

constexpr double kTurn = 2 * std::numbers::pi;

// Wavelengths beyond originalPositions / low are divided, those below originalPositions / high
// kept.
float llama3Frequency(float frequency, const RopeScaling& scaling) {
  const auto original = static_cast<double>(scaling.originalPositions);
  const auto low = static_cast<float>(scaling.lowFrequencyFactor);
  const auto span = static_cast<float>(scaling.highFrequencyFactor - scaling.lowFrequencyFactor);
  const auto factor = static_cast<float>(scaling.factor);
  const float wavelength = static_cast<float>(kTurn) / frequency;
  if (wavelength > static_cast<float>(original / scaling.lowFrequencyFactor)) {
    return frequency / factor;
  }
  if (wavelength < static_cast<float>(original / scaling.highFrequencyFactor)) return frequency;
  const float smooth = (static_cast<float>(original) / wavelength - low) / span;
  return (1 - smooth) * frequency / factor + smooth * frequency;
}

// The pair, not necessarily a whole one, that makes `turns` turns within originalPositions.
double pairOfTurns(double turns, uint32_t headDim, float theta, const RopeScaling& scaling) {
  return headDim * std::log(scaling.originalPositions / (turns * kTurn)) /
         (2 * std::log(static_cast<double>(theta)));
}

void scaleYarn(uint32_t headDim, float theta, const RopeScaling& scaling,
               std::vector<float>& frequencies) {
  double low = pairOfTurns(scaling.betaFast, headDim, theta, scaling);
  double high = pairOfTurns(scaling.betaSlow, headDim, theta, scaling);
  if (scaling.truncate) low = std::floor(low), high = std::ceil(high);
  low = std::max(low, 0.0);
  high = std::min(high, headDim - 1.0);
  if (low == high) high += 0.001;
  const auto factor = static_cast<float>(scaling.factor);
  for (size_t i = 0; i < frequencies.size(); ++i) {
    const float along =
        (static_cast<float>(i) - static_cast<float>(low)) / static_cast<float>(high - low);
    const float kept = 1 - std::clamp(along, 0.0f, 1.0f);
    frequencies[i] = frequencies[i] / factor * (1 - kept) + frequencies[i] * kept;
  }
}

}  // namespace

std::string_view ropeKindName(RopeKind kind) {
  switch (kind) {
    case RopeKind::kDefault:
      break;
    case RopeKind::kLinear:
      return "linear";
    case RopeKind::kDynamic:
      return "dynamic";
    case RopeKind::kLlama3:
      return "llama3";
    case RopeKind::kYarn:
      return "yarn";
    case RopeKind::kFactors:
      return "factors";
  }
  return "default";
}

std::vector<float> ropeFrequencies(uint32_t headDim, float theta, const RopeScaling& scaling) {
  SPOLIA_CHECK(headDim % 2 == 0);
  std::vector<float> out;
  for (uint32_t i = 0; i < headDim / 2; ++i) {
    const double exponent = 2.0 * i / headDim;
    out.push_back(static_cast<float>(std::pow(static_cast<double>(theta), -exponent)));
  }
  switch (scaling.kind) {
    case RopeKind::kDefault:
    case RopeKind::kDynamic:
      break;
    case RopeKind::kLinear:
      for (float& frequency : out) frequency /= static_cast<float>(scaling.factor);
      break;
    case RopeKind::kLlama3:
      for (float& frequency : out) frequency = llama3Frequency(frequency, scaling);
      break;
    case RopeKind::kYarn:
      scaleYarn(headDim, theta, scaling, out);
      break;
    case RopeKind::kFactors:
      SPOLIA_CHECK(scaling.factors.size() == out.size());
      for (size_t i = 0; i < out.size(); ++i) out[i] /= scaling.factors[i];
      break;
  }
  return out;
}

}  // namespace spolia::engine
