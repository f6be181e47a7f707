// Which errors in a key matter: not every direction of a head moves the attention alike.
//
// An error e in the key of token t moves the score of a query at p by q'e, q turned to where the
// key stands without its rotation, and the head's output by a (v_t - o) times that, where a is the
// attention that the token gets and o the output. So e'Me, M the mean of a^2 |v_t - o|^2 q q' over
// pairs of query and key, is how much it matters, beside other errors in the same head. Measured on
// the prose model: M found so serves nearly as well as the Fisher information from gradients.
#pragma once

#include <span>
#include <vector>

#include "codec/base/result.h"
#include "engine/kernels/matrix.h"
#include "engine/kernels/thread_pool.h"
#include "engine/model/model.h"
#include "engine/profile/passages.h"
#include "engine/transformer/forward.h"

namespace spolia::engine {

// [layer * kvHeads + head]: [headDim][headDim], symmetric, positive definite, its mean diagonal 1.
// Errors as those of Transformer::begin.
Result<std::vector<Matrix>> measureKeyMetrics(const Model& model, const Transformer& transformer,
                                              std::span<const Passage> passages, ThreadPool& pool);

// The symmetric root of a metric, in which errors count alike, and its inverse.
struct MetricRoot {
  Matrix root, inverse;
};
Result<MetricRoot> rootOf(const Matrix& metric);

}  // namespace spolia::engine
