// The fields of a request that say how tokens are chosen and what is told of them. Any thread.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/http/body_fields.h"
#include "engine/transformer/sampler.h"

namespace spolia::engine {

inline constexpr uint32_t kMostLogprobs = 20;

// temperature, top_p, top_k, min_p, the penalties, logit_bias and seed; logprobs with top_logprobs.
// Errors are kept by `fields`.
void readSampling(BodyFields& fields, SamplingOptions& sampling, std::optional<uint32_t>& logprobs);

}  // namespace spolia::engine
