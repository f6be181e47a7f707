// How much a model's predictions suffer from errors in its KV, head by head: what decides how
// finely a lossy preset has to code each.
//
// An error of variance s^2 in every channel of a head moves the predictions by a KL divergence of
// about s^2 times a constant: the head's weight. It is measured with such errors, at a size at
// which the judge sees them and which is still small.
#pragma once

#include <vector>

#include "codec/base/result.h"
#include "engine/profile/judge.h"

namespace spolia::engine {

// [column of a sample]: KL in nats per squared error of one channel, averaged over a head.
// `scatter` is each column's variance. The judge has a reference.
Result<std::vector<float>> measureSensitivity(const Judge& judge, const KvShape& shape,
                                              const std::vector<float>& scatter, uint64_t seed);

}  // namespace spolia::engine
