#include "bench/policy/replay.h"

#include <algorithm>

#include "codec/base/check.h"

namespace spolia::bench {
namespace {

using store::ChunkTraits;
using store::EvictionPolicy;
using store::kNoSlot;
using store::Slot;

uint64_t hashOf(uint64_t id) {
  uint64_t x = id + 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

class Cache {
 public:
  Cache(uint32_t blocks, EvictionPolicy& policy) : policy_(policy), slots_(blocks, kNoSlot) {}

  bool has(uint32_t id) const { return slots_[id] != kNoSlot; }
  Slot slotOf(uint32_t id) const { return slots_[id]; }

  void touch(uint32_t id, uint64_t now) { policy_.touch(slots_[id], hashOf(id), now); }

  void offer(uint32_t id, ChunkTraits chunk, uint64_t now) {
    chunk.keyHash = hashOf(id);
    if (!policy_.admit(chunk, now)) return;
    store::makeRoom(policy_, chunk.storedBytes, now, [&](Slot slot) {
      slots_[ids_[slot]] = kNoSlot;
      free_.push_back(slot);
      return store::Evicted{hashOf(ids_[slot]), bytes_[slot]};
    });
    const Slot slot = takeFree();
    SPOLIA_CHECK(policy_.insert(slot, chunk, now));
    SPOLIA_CHECK(policy_.bytes() <= policy_.capacity());
    ids_[slot] = id, bytes_[slot] = chunk.storedBytes, slots_[id] = slot;
  }

 private:
  // One that no block still hangs on.
  Slot takeFree() {
    const auto at = std::ranges::find_if(free_, [&](Slot slot) { return !policy_.needs(slot); });
    if (at != free_.end()) {
      const Slot slot = *at;
      *at = free_.back();
      free_.pop_back();
      return slot;
    }
    ids_.push_back(0);
    bytes_.push_back(0);
    return static_cast<Slot>(ids_.size() - 1);
  }

  EvictionPolicy& policy_;
  std::vector<Slot> slots_;      // by block id
  std::vector<uint32_t> ids_;    // by slot
  std::vector<uint64_t> bytes_;  // likewise
  std::vector<Slot> free_;
};

struct Priced {
  Block block;
  double seconds;
};

std::vector<Priced> price(const Request& request, const CostModel& cost) {
  std::vector<Priced> out;
  uint64_t context = 0;
  for (const Block& block : request.blocks) {
    out.push_back({block, cost.seconds(block.tokens, context)});
    if (request.chained) context += block.tokens;
  }
  return out;
}

double serve(const Request& request, const CostModel& cost, Order order, Cache& cache) {
  const std::vector<Priced> blocks = price(request, cost);
  std::vector<bool> hit(blocks.size());
  double saved = 0;
  bool reached = true;
  for (size_t i = 0; i < blocks.size(); ++i) {
    hit[i] = cache.has(blocks[i].block.id);
    reached = request.chained ? reached && hit[i] : hit[i];
    if (reached) saved += blocks[i].seconds;
  }
  for (size_t k = 0; k < blocks.size(); ++k) {
    const size_t i = order == Order::kHeadFirst ? k : blocks.size() - 1 - k;
    const auto [id, tokens] = blocks[i].block;
    // What was there at the lookup may have been evicted for another block of the request since.
    if (cache.has(id)) {
      cache.touch(id, request.timeMs);
      continue;
    }
    const bool hasParent = request.chained && i > 0;
    cache.offer(id,
                {.storedBytes = cost.bytes(tokens),
                 .recomputeSeconds = blocks[i].seconds,
                 .chained = request.chained,
                 .depth = static_cast<uint32_t>(request.chained ? i : 0),
                 .parent = hasParent ? cache.slotOf(blocks[i - 1].block.id) : kNoSlot},
                request.timeMs);
  }
  return saved;
}

}  // namespace

std::vector<double> replay(const Trace& trace, const CostModel& cost, Order order,
                           EvictionPolicy& policy) {
  Cache cache(trace.blocks, policy);
  std::vector<double> saved;
  saved.reserve(trace.requests.size());
  for (const Request& request : trace.requests) {
    saved.push_back(serve(request, cost, order, cache));
  }
  return saved;
}

}  // namespace spolia::bench
