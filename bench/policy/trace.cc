#include "bench/policy/trace.h"

namespace spolia::bench {

uint64_t footprintBytes(const Trace& trace, const CostModel& cost) {
  std::vector<bool> seen(trace.blocks);
  uint64_t sum = 0;
  for (const Request& request : trace.requests) {
    for (const Block& block : request.blocks) {
      if (!seen[block.id]) sum += cost.bytes(block.tokens);
      seen[block.id] = true;
    }
  }
  return sum;
}

}  // namespace spolia::bench
