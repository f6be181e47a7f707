// S3-FIFO (Yang and others 2023), in bytes: new chunks enter a small queue and reach the main queue
// only when asked for there, or soon after they left it. Knows no parents and no costs.
#pragma once

#include "server/store/eviction/ghost_list.h"
#include "server/store/eviction/slot_lists.h"

namespace spolia::store {

struct S3FifoParams {
  double smallShare = 0.1;  // of the capacity, for the small queue
  uint8_t promoteUses = 2;  // hits in the small queue that lead to the main queue
};

class S3FifoPolicy final : public EvictionPolicy {
 public:
  S3FifoPolicy(uint64_t capacityBytes, const S3FifoParams& params);
  std::string_view name() const override { return "s3-fifo"; }
  bool contains(Slot slot) const override { return queues_.has(slot); }
  size_t stateBytes() const override { return queues_.stateBytes() + ghosts_.stateBytes(); }

 private:
  enum Queue : uint8_t { kSmall, kMain };

  void onInsert(Slot slot, const ChunkTraits& chunk, uint64_t nowMs) override;
  void onTouch(Slot slot, uint64_t keyHash, uint64_t nowMs) override;
  void onRemove(Slot slot, uint64_t keyHash, Departure why) override;
  Slot onChooseVictim(uint64_t nowMs) override;
  void onPostpone(Slot slot, uint64_t nowMs) override;
  bool takeFromSmall() const;

  const uint64_t smallTarget_;
  const uint8_t promoteUses_;
  SlotLists queues_;
  GhostList ghosts_;
};

}  // namespace spolia::store
