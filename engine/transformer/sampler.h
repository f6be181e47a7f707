// Choice of the next token. Any thread.
#pragma once

#include <span>

#include "codec/chunk_identity.h"

namespace spolia::engine {

// The token of the largest logit, the lowest id on ties; NaN loses against every number. `logits`
// is not empty.
codec::TokenId argmax(std::span<const float> logits);

}  // namespace spolia::engine
