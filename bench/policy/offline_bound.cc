#include "bench/policy/offline_bound.h"

#include <algorithm>
#include <set>

namespace spolia::bench {
namespace {

constexpr uint64_t kNever = ~uint64_t{0};

struct Access {
  uint32_t id;
  uint32_t request;
  double seconds;
  uint64_t bytes;
  uint64_t last = kNever, next = kNever;  // numbers of the accesses to the same block
};

std::vector<Access> accesses(const Trace& trace, const CostModel& cost) {
  std::vector<Access> out;
  std::vector<uint64_t> last(trace.blocks, kNever);
  for (uint32_t r = 0; r < trace.requests.size(); ++r) {
    uint64_t context = 0;
    for (const auto& [id, tokens] : trace.requests[r].blocks) {
      const uint64_t number = out.size();
      out.push_back({id, r, cost.seconds(tokens, context), cost.bytes(tokens), last[id]});
      if (last[id] != kNever) out[last[id]].next = number;
      last[id] = number;
      if (trace.requests[r].chained) context += tokens;
    }
  }
  return out;
}

}  // namespace

std::vector<double> beladySaved(const Trace& trace, const CostModel& cost, uint64_t capacityBytes) {
  const uint64_t room = capacityBytes * trace.blocks / footprintBytes(trace, cost);
  std::vector<double> saved(trace.requests.size());
  std::set<std::pair<uint64_t, uint32_t>> stored;  // next access, block
  const std::vector<Access> all = accesses(trace, cost);
  for (uint64_t number = 0; number < all.size(); ++number) {
    const Access& access = all[number];
    if (stored.erase({number, access.id}) > 0) saved[access.request] += access.seconds;
    if (access.next == kNever) continue;
    stored.insert({access.next, access.id});
    if (stored.size() > room) stored.erase(std::prev(stored.end()));
  }
  return saved;
}

double savedBound(const Trace& trace, const CostModel& cost, uint64_t capacityBytes, size_t from) {
  struct Interval {
    double seconds, space;
  };
  std::vector<Interval> intervals;
  const std::vector<Access> all = accesses(trace, cost);
  uint64_t begin = 0;
  while (begin < all.size() && all[begin].request < from) ++begin;
  for (uint64_t number = begin; number < all.size(); ++number) {
    const Access& access = all[number];
    if (access.last == kNever) continue;
    const uint64_t held = number - std::max(access.last, begin);
    intervals.push_back({access.seconds, static_cast<double>(access.bytes * held)});
  }
  std::sort(intervals.begin(), intervals.end(), [](const Interval& a, const Interval& b) {
    return a.seconds * b.space > b.seconds * a.space;
  });
  double space = static_cast<double>(capacityBytes) * static_cast<double>(all.size() - begin);
  double saved = 0;
  for (const Interval& interval : intervals) {
    if (interval.space >= space) return saved + interval.seconds * space / interval.space;
    space -= interval.space;
    saved += interval.seconds;
  }
  return saved;
}

}  // namespace spolia::bench
