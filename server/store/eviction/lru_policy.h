// LRU: the chunk that was not asked for the longest time goes. Knows no parents and no costs.
#pragma once

#include "server/store/eviction/slot_lists.h"

namespace spolia::store {

class LruPolicy final : public EvictionPolicy {
 public:
  explicit LruPolicy(uint64_t capacityBytes) : EvictionPolicy(capacityBytes), order_(1) {}
  std::string_view name() const override { return "lru"; }
  bool contains(Slot slot) const override { return order_.has(slot); }
  size_t stateBytes() const override { return order_.stateBytes(); }

 private:
  void onInsert(Slot slot, const ChunkTraits& chunk, uint64_t) override {
    order_.add(0, slot, chunk.storedBytes);
  }
  void onTouch(Slot slot, uint64_t, uint64_t) override { order_.move(0, slot); }
  void onRemove(Slot slot, uint64_t, Departure) override { order_.remove(slot); }
  Slot onChooseVictim(uint64_t) override { return order_.oldest(0); }
  void onPostpone(Slot slot, uint64_t) override { order_.move(0, slot); }

  SlotLists order_;
};

}  // namespace spolia::store
