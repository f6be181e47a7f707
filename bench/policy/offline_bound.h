// What an eviction that knows the future could save: bounds that no policy reaches.
#pragma once

#include <vector>

#include "bench/policy/trace.h"

namespace spolia::bench {

// Belady with bypass, relaxed: no parents, every block of the mean size, hits counted alike.
// Seconds saved by each request.
std::vector<double> beladySaved(const Trace& trace, const CostModel& cost, uint64_t capacityBytes);

// Upper bound, in seconds, of what the requests from `from` on can save with true sizes and costs,
// without parents (PFOO, Berger and others 2018): each reuse asks for its bytes over the time since
// the last access, and the best ratios of seconds to that share the space there is.
double savedBound(const Trace& trace, const CostModel& cost, uint64_t capacityBytes, size_t from);

}  // namespace spolia::bench
