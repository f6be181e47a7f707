#include "server/store/eviction/eviction_policy.h"

#include <algorithm>
#include <limits>

namespace spolia::store {

bool EvictionPolicy::admit(const ChunkTraits& chunk, uint64_t nowMs) {
  if (chunk.storedBytes > capacity_) return false;
  return onAdmit(chunk, nowMs);
}

bool EvictionPolicy::insert(Slot slot, const ChunkTraits& chunk, uint64_t nowMs) {
  const uint64_t bytes = chunk.storedBytes;
  if (slot == kNoSlot || bytes == 0 || bytes > std::numeric_limits<uint32_t>::max()) return false;
  if (contains(slot) || full(bytes)) return false;
  onInsert(slot, chunk, nowMs);
  bytes_ += bytes;
  ++count_;
  return true;
}

void EvictionPolicy::touch(Slot slot, uint64_t keyHash, uint64_t nowMs) {
  if (contains(slot)) onTouch(slot, keyHash, nowMs);
}

void EvictionPolicy::remove(Slot slot, uint64_t keyHash, uint64_t bytes, Departure why) {
  if (!contains(slot)) return;
  onRemove(slot, keyHash, why);
  bytes_ -= std::min(bytes, bytes_);
  --count_;
}

Slot EvictionPolicy::chooseVictim(uint64_t nowMs) {
  return count_ == 0 ? kNoSlot : onChooseVictim(nowMs);
}

void EvictionPolicy::postpone(Slot slot, uint64_t nowMs) {
  if (contains(slot)) onPostpone(slot, nowMs);
}

}  // namespace spolia::store
