// Symbol probabilities of scaled channels: as of a logistic distribution, between the normal one
// that most channels follow and the tails that a few have. Specified in codec/FORMAT.md ("Tables of
// scaled channels"). Any thread.
#pragma once

#include "codec/lossy/coefficient_coder.h"
#include "codec/lossy/step_classes.h"

namespace spolia::codec {

// Classes up to this one have two values in a symbol, more than those of learnt transforms: rare
// escapes cost 0.1 %, and decoding is half the work.
inline constexpr uint32_t kScaledLastPair = 22;

const ClassTables& scaledTables();
// The same, ready to code with.
const PreparedTables& scaledPrepared();

}  // namespace spolia::codec
