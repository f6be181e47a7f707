#include "server/store/eviction/gdsf_policy.h"

#include <algorithm>

namespace spolia::store {

double GdsfPolicy::cost(const ChunkTraits& chunk) const {
  switch (cost_) {
    case GdsfCost::kOne:
      return 1;
    case GdsfCost::kBytes:
      return static_cast<double>(chunk.storedBytes);
    case GdsfCost::kSeconds:
      return chunk.recomputeSeconds;
  }
  return 1;
}

bool GdsfPolicy::contains(Slot slot) const {
  return slot < entries_.size() && entries_[slot].bytes != 0;
}

void GdsfPolicy::place(Slot slot, double priority) {
  Entry& entry = entries_[slot];
  entry.priority = priority;
  entry.order = ++accesses_;
  queue_.insert({entry.priority, entry.order, slot});
}

void GdsfPolicy::onInsert(Slot slot, const ChunkTraits& chunk, uint64_t) {
  if (slot >= entries_.size()) entries_.resize(size_t{slot} + 1);
  Entry& entry = entries_[slot];
  entry = {.density = cost(chunk) / static_cast<double>(chunk.storedBytes),
           .bytes = static_cast<uint32_t>(chunk.storedBytes),
           .uses = 1};
  place(slot, inflation_ + entry.density);
}

void GdsfPolicy::onTouch(Slot slot, uint64_t, uint64_t) {
  Entry& entry = entries_[slot];
  queue_.erase({entry.priority, entry.order, slot});
  ++entry.uses;
  place(slot, inflation_ + entry.uses * entry.density);
}

void GdsfPolicy::onRemove(Slot slot, uint64_t, Departure why) {
  Entry& entry = entries_[slot];
  if (why == Departure::kEvicted) inflation_ = std::max(inflation_, entry.priority);
  queue_.erase({entry.priority, entry.order, slot});
  entry.bytes = 0;
}

void GdsfPolicy::onPostpone(Slot slot, uint64_t) {
  const Entry& entry = entries_[slot];
  queue_.erase({entry.priority, entry.order, slot});
  place(slot, std::max(entry.priority, queue_.empty() ? 0 : queue_.rbegin()->priority));
}

size_t GdsfPolicy::stateBytes() const {
  constexpr size_t kTreeNode = 32 + sizeof(Place) + 16;
  return entries_.capacity() * sizeof(Entry) + queue_.size() * kTreeNode;
}

}  // namespace spolia::store
