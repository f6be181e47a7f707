// How a model's RoPE frequencies differ from theta^(-2i / headDim): the scalings of Hugging Face's
// config.json, computed as its modeling_rope_utils.py does, in f32. Values; any thread.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace spolia::engine {

enum class RopeKind : uint8_t {
  kDefault,
  kLinear,   // all frequencies divided by `factor`
  kDynamic,  // none up to the positions the model was trained on; see ModelConfig::ropeScaling
  kLlama3,   // long wavelengths divided, short ones kept, those between blended
  kYarn,     // likewise by pairs of channels, and scores are scaled
  kFactors,  // each frequency divided by a number of its own, as GGUF files have it
};

// The name in config.json: "default", "linear", ...; it does not know kFactors, "factors".
std::string_view ropeKindName(RopeKind kind);

// Fields that a kind does not use keep their defaults, so that equal scalings compare equal.
struct RopeScaling {
  RopeKind kind = RopeKind::kDefault;
  double factor = 1;               // at least 1; all but kDefault
  uint32_t originalPositions = 0;  // of the training before scaling; kLlama3, kYarn
  double lowFrequencyFactor = 0;   // kLlama3: positive and below highFrequencyFactor
  double highFrequencyFactor = 0;
  double betaFast = 0;         // kYarn: turns within originalPositions above which a pair keeps its
  double betaSlow = 0;         // frequency, and those below which it is divided; both positive
  bool truncate = false;       // kYarn: the bounds between which pairs are blended are whole pairs
  double attentionFactor = 1;  // kYarn: cosines and sines are taken times this
  std::vector<float> factors = {};  // kFactors: one for each pair, positive

  bool operator==(const RopeScaling&) const = default;
};

// Angle by which pair i turns from one position to the next, [headDim / 2]. headDim is even, theta
// at least 1, with kYarn above 1.
std::vector<float> ropeFrequencies(uint32_t headDim, float theta, const RopeScaling& scaling);

}  // namespace spolia::engine
