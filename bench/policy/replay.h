// Replays a trace through the real policy code, as the store would drive it.
#pragma once

#include <vector>

#include "bench/policy/trace.h"
#include "server/store/eviction/eviction_policy.h"

namespace spolia::bench {

// In which order a request's chained blocks are told to the policy. Policies that know no parents
// keep what they were told last; a tail is worth nothing without its head.
enum class Order : uint8_t { kHeadFirst, kTailFirst };

// Recompute seconds saved by each request. Independent blocks save if they are stored; chained ones
// up to the first that is not. All blocks that were computed are offered to the policy.
std::vector<double> replay(const Trace& trace, const CostModel& cost, Order order,
                           store::EvictionPolicy& policy);

}  // namespace spolia::bench
