#include "server/tiers/memory_tier.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace spolia::tiers {
namespace {

using store::ChunkTraits;
using store::Departure;
using store::kNoSlot;

// The allocator's header and rounding, and a place in the entry's list.
constexpr uint64_t kBlockOverhead = 64;
// A node of the map, the allocator's header of its list.
constexpr uint64_t kEntryOverhead = 144;
// Bytes read ahead that nobody has asked for yet: this part of the capacity.
constexpr uint64_t kAheadShare = 16;
// After so long nobody will.
constexpr uint64_t kAheadPatienceMs = 10'000;
// How many blocks are remembered as asked for, in blocks that could be held.
constexpr uint64_t kAskedPerHeld = 2;
constexpr uint64_t kLeastAsked = 1024;

uint64_t hashOf(const StoreKey& key, uint32_t block) {
  uint64_t x;
  std::memcpy(&x, key.bytes.data(), sizeof x);
  x ^= (uint64_t{block} + 1) * 0x9e3779b97f4a7c15ull;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

uint64_t chargeOf(uint64_t bytes) {
  return bytes + kBlockOverhead;
}

}  // namespace

MemoryTier::MemoryTier(uint64_t capacityBytes)
    : capacity_(capacityBytes), policy_(capacityBytes, {}), ahead_(1) {
  if (capacity_ == 0) return;
  asked_.reserve(std::max(kLeastAsked, kAskedPerHeld * (capacity_ / kBlockBytes)));
  refreshFigures();
}

uint64_t MemoryTier::usedBytes() const {
  if (capacity_ == 0) return 0;
  return policy_.bytes() + policy_.stateBytes() + asked_.stateBytes() + ahead_.stateBytes() +
         entries_.size() * kEntryOverhead + entries_.bucket_count() * sizeof(void*) +
         held_.capacity() * sizeof(Held) + free_.capacity() * sizeof(Slot);
}

void MemoryTier::refreshFigures() {
  figures_.usedBytes = usedBytes();
}

MemoryTier::Slot MemoryTier::slotOf(const BlockId& id) const {
  const auto entry = entries_.find(id.key);
  if (entry == entries_.end() || entry->second.version != id.version) return kNoSlot;
  const auto& places = entry->second.places;
  const auto place = std::ranges::lower_bound(places, id.block, {}, &Place::block);
  return place != places.end() && place->block == id.block ? place->slot : kNoSlot;
}

bool MemoryTier::holds(const BlockId& id) const {
  return slotOf(id) != kNoSlot;
}

ByteSpan MemoryTier::find(const BlockId& id) {
  const auto entry = entries_.find(id.key);
  if (entry != entries_.end() && entry->second.version < id.version) {
    releaseAll(entry);
    refreshFigures();
    return {};
  }
  const Slot slot = slotOf(id);
  if (slot == kNoSlot) return {};
  policy_.touch(slot, hashOf(id.key, id.block), 0);
  if (ahead_.has(slot)) ahead_.remove(slot);
  return {held_[slot].bytes.get(), held_[slot].size};
}

bool MemoryTier::ask(const StoreKey& key, uint32_t block) {
  if (capacity_ == 0) return false;
  const uint64_t hash = hashOf(key, block);
  const bool before = asked_.find(hash).has_value();
  asked_.put(hash, {});
  return before;
}

void MemoryTier::insert(const BlockId& id, ByteSpan bytes, Entrance entrance) {
  if (capacity_ == 0 || bytes.empty() || bytes.size() > kBlockBytes) return;
  const auto known = entries_.find(id.key);
  if (known != entries_.end()) {
    if (known->second.version > id.version) return;
    if (known->second.version < id.version) releaseAll(known);
  }
  if (holds(id) || !makeRoom(chargeOf(bytes.size()) + kEntryOverhead)) return refreshFigures();

  ChunkTraits traits;
  traits.keyHash = hashOf(id.key, id.block);
  traits.storedBytes = chargeOf(bytes.size());
  const Slot slot = takeSlot();
  policy_.admit(traits, 0);
  policy_.insert(slot, traits, 0);
  const auto [entry, isNew] = entries_.try_emplace(id.key);
  entry->second.version = id.version;
  auto& places = entry->second.places;
  places.insert(std::ranges::lower_bound(places, id.block, {}, &Place::block), {id.block, slot});
  Held& held = held_[slot];
  held.bytes = std::make_unique_for_overwrite<std::byte[]>(bytes.size());
  std::memcpy(held.bytes.get(), bytes.data(), bytes.size());
  held.size = static_cast<uint32_t>(bytes.size());
  held.block = id.block;
  held.key = &entry->first;
  if (entrance == Entrance::kAhead) {
    held.aheadMs = nowMs_;
    ahead_.add(0, slot, traits.storedBytes);
    figures_.aheadBytes += bytes.size();
  } else {
    figures_.admittedBytes += bytes.size();
  }
  makeRoom(0);  // the arrays may have grown
  refreshFigures();
}

// Gives up blocks until so many bytes more fit. False: they never do.
bool MemoryTier::makeRoom(uint64_t bytes) {
  while (usedBytes() + bytes > capacity_) {
    const Slot victim = policy_.chooseVictim(0);
    if (victim == kNoSlot) return false;
    figures_.evictedBytes += held_[victim].size;
    release(victim, Departure::kEvicted);
  }
  return true;
}

MemoryTier::Slot MemoryTier::takeSlot() {
  if (free_.empty()) {
    held_.emplace_back();
    return static_cast<Slot>(held_.size() - 1);
  }
  const Slot slot = free_.back();
  free_.pop_back();
  return slot;
}

void MemoryTier::release(Slot slot, Departure why) {
  Held held = std::exchange(held_[slot], {});
  policy_.remove(slot, hashOf(*held.key, held.block), chargeOf(held.size), why);
  if (ahead_.has(slot)) ahead_.remove(slot);
  const auto entry = entries_.find(*held.key);
  auto& places = entry->second.places;
  places.erase(std::ranges::lower_bound(places, held.block, {}, &Place::block));
  if (places.empty()) entries_.erase(entry);
  free_.push_back(slot);
}

void MemoryTier::releaseAll(Entries::iterator entry) {
  for (const Place& place : entry->second.places) {
    const Slot slot = place.slot;
    const uint64_t bytes = chargeOf(held_[slot].size);
    policy_.remove(slot, hashOf(entry->first, place.block), bytes, Departure::kRemoved);
    if (ahead_.has(slot)) ahead_.remove(slot);
    held_[slot] = {};
    free_.push_back(slot);
  }
  entries_.erase(entry);
}

void MemoryTier::drop(const StoreKey& key) {
  const auto entry = entries_.find(key);
  if (entry == entries_.end()) return;
  releaseAll(entry);
  refreshFigures();
}

uint64_t MemoryTier::roomAhead(uint64_t pending, uint64_t nowMs) {
  nowMs_ = nowMs;
  for (Slot slot; (slot = ahead_.oldest(0)) != kNoSlot;) {
    if (held_[slot].aheadMs + kAheadPatienceMs > nowMs) break;
    figures_.evictedBytes += held_[slot].size;
    release(slot, Departure::kEvicted);
  }
  refreshFigures();
  const uint64_t taken = pending + ahead_.bytes(0);
  return std::max(capacity_ / kAheadShare, taken) - taken;
}

}  // namespace spolia::tiers
