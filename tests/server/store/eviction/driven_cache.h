// A cache of keys around a policy, as an owner would drive it, for tests.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "server/store/eviction/eviction_policy.h"

namespace spolia::store {

// 64 uniform bits for a small number.
inline uint64_t hashOf(uint64_t key) {
  uint64_t x = key + 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

class DrivenCache {
 public:
  explicit DrivenCache(EvictionPolicy& policy) : policy_(policy) {}

  // A hit is touched; what is absent is stored if the policy admits it. True for a hit. Victims are
  // appended to `evicted`.
  bool ask(uint64_t key, uint64_t bytes, uint64_t nowMs = 0, double seconds = 1) {
    return askFor(key, {.storedBytes = bytes, .recomputeSeconds = seconds}, nowMs);
  }

  bool askFor(uint64_t key, ChunkTraits chunk, uint64_t nowMs) {
    if (const auto found = slots_.find(key); found != slots_.end()) {
      policy_.touch(found->second, hashOf(key), nowMs);
      return true;
    }
    chunk.keyHash = hashOf(key);
    if (!policy_.admit(chunk, nowMs)) return false;
    const bool fits =
        makeRoom(policy_, chunk.storedBytes, nowMs, [&](Slot slot) { return drop(slot); });
    EXPECT_TRUE(fits);
    const Slot slot = freeSlot();
    EXPECT_TRUE(policy_.insert(slot, chunk, nowMs));
    EXPECT_LE(policy_.bytes(), policy_.capacity());
    keys_[slot] = key, slots_[key] = slot, bytes_[slot] = chunk.storedBytes;
    return false;
  }

  void remove(uint64_t key) {
    const Slot slot = slotOf(key);
    policy_.remove(slot, hashOf(key), bytesAt(slot), Departure::kRemoved);
    if (slot != kNoSlot) forget(slot);
  }

  bool has(uint64_t key) const { return slots_.contains(key); }
  Slot slotOf(uint64_t key) const { return has(key) ? slots_.at(key) : kNoSlot; }
  uint64_t bytesAt(Slot slot) const { return bytes_.contains(slot) ? bytes_.at(slot) : 0; }
  const std::map<uint64_t, Slot>& stored() const { return slots_; }

  std::vector<uint64_t> evicted;

 private:
  Evicted drop(Slot slot) {
    EXPECT_TRUE(keys_.contains(slot)) << "victim " << slot << " is not stored";
    evicted.push_back(keys_.at(slot));
    forget(slot);
    return {hashOf(evicted.back()), bytesAt(slot)};
  }

  void forget(Slot slot) {
    slots_.erase(keys_.at(slot));
    keys_.erase(slot);
    free_.push_back(slot);
  }

  // One that nothing hangs on any more.
  Slot freeSlot() {
    const auto at = std::ranges::find_if(free_, [&](Slot slot) { return !policy_.needs(slot); });
    if (at == free_.end()) return next_++;
    const Slot slot = *at;
    free_.erase(at);
    return slot;
  }

  EvictionPolicy& policy_;
  std::map<uint64_t, Slot> slots_;
  std::map<Slot, uint64_t> keys_;
  std::map<Slot, uint64_t> bytes_;
  std::vector<Slot> free_;
  Slot next_ = 0;
};

}  // namespace spolia::store
