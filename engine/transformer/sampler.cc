#include "engine/transformer/sampler.h"

#include <cmath>

#include "codec/base/check.h"

namespace spolia::engine {

codec::TokenId argmax(std::span<const float> logits) {
  SPOLIA_CHECK(!logits.empty());
  size_t best = 0;
  for (size_t i = 1; i < logits.size(); ++i) {
    if (logits[i] > logits[best] || (std::isnan(logits[best]) && !std::isnan(logits[i]))) best = i;
  }
  return static_cast<codec::TokenId>(best);
}

}  // namespace spolia::engine
