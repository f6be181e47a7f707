// ARC (Megiddo and Modha 2003), in bytes: chunks asked for once and chunks asked for again stand in
// two LRU lists, whose shares follow the ghosts of both that are asked for. Knows no parents and no
// costs.
#pragma once

#include "server/store/eviction/ghost_list.h"
#include "server/store/eviction/slot_lists.h"

namespace spolia::store {

class ArcPolicy final : public EvictionPolicy {
 public:
  explicit ArcPolicy(uint64_t capacityBytes) : EvictionPolicy(capacityBytes), lists_(2) {}
  std::string_view name() const override { return "arc"; }
  bool contains(Slot slot) const override { return lists_.has(slot); }
  size_t stateBytes() const override;
  // Bytes that are meant for chunks asked for once.
  uint64_t onceTarget() const { return onceTarget_; }

 private:
  enum List : uint8_t { kOnce, kAgain };

  bool onAdmit(const ChunkTraits& chunk, uint64_t nowMs) override;
  void onInsert(Slot slot, const ChunkTraits& chunk, uint64_t nowMs) override;
  void onTouch(Slot slot, uint64_t keyHash, uint64_t nowMs) override;
  void onRemove(Slot slot, uint64_t keyHash, Departure why) override;
  Slot onChooseVictim(uint64_t nowMs) override;
  void onPostpone(Slot slot, uint64_t nowMs) override;
  void trimGhosts();

  SlotLists lists_;
  GhostList ghosts_[2];
  uint64_t onceTarget_ = 0;
  bool againGhostAsked_ = false;  // what was admitted last was the ghost of a chunk asked for again
};

}  // namespace spolia::store
