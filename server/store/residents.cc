#include "server/store/residents.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "server/store/index/index_value.h"

namespace spolia::store {

namespace {

constexpr size_t kFirstTable = 1024;

}  // namespace

Residents::Residents(std::unique_ptr<EvictionPolicy> policy, WorthOf worthOf, Footprint budget)
    : policy_(std::move(policy)),
      worthOf_(std::move(worthOf)),
      budget_(budget),
      table_(policy_ ? kFirstTable : 0, kEmpty) {}

Residents::Prefix Residents::prefixOf(const StoreKey& key) {
  Prefix prefix;
  std::memcpy(&prefix, key.bytes.data(), sizeof prefix);
  return prefix;
}

StoreKey Residents::firstKeyOf(Prefix prefix) {
  StoreKey key{};
  std::memcpy(key.bytes.data(), &prefix, sizeof prefix);
  return key;
}

size_t Residents::place(Prefix prefix) const {
  const size_t mask = table_.size() - 1;
  size_t at = prefix & mask;
  while (table_[at] != kEmpty && prefixes_[table_[at]] != prefix) at = (at + 1) & mask;
  return at;
}

void Residents::grow() {
  std::vector<Slot> old = std::exchange(table_, std::vector<Slot>(table_.size() * 2, kEmpty));
  for (const Slot slot : old) {
    if (slot != kEmpty) table_[place(prefixes_[slot])] = slot;
  }
}

// Linear probing without tombstones: what stands behind the gap and may stand in it moves up.
void Residents::erase(size_t at) {
  const size_t mask = table_.size() - 1;
  size_t gap = at;
  for (size_t next = (at + 1) & mask; table_[next] != kEmpty; next = (next + 1) & mask) {
    const size_t home = prefixes_[table_[next]] & mask;
    const bool reachesGap = ((next - home) & mask) >= ((next - gap) & mask);
    if (!reachesGap) continue;
    table_[gap] = table_[next];
    gap = next;
  }
  table_[gap] = kEmpty;
}

Footprint Residents::footprintOf(const EntryMeta& meta, uint64_t recordBytes) {
  return {recordBytes, indexedBytes(meta)};
}

void Residents::add(const EntryMeta& meta, uint64_t recordBytes, uint64_t nowMs) {
  live_ += footprintOf(meta, recordBytes);
  if (!policy_) return;
  const EntryWorth worth = worthOf_(meta);
  if (!worth.evictable) return;
  if ((taken_ + 1) * 2 > table_.size()) grow();
  const Prefix prefix = prefixOf(meta.key);
  const size_t at = place(prefix);
  if (table_[at] != kEmpty) return;
  ChunkTraits traits;
  traits.keyHash = prefix;
  traits.storedBytes = recordBytes;
  traits.recomputeSeconds = worth.recomputeSeconds;
  traits.kind = meta.kind;
  traits.expiresAt = meta.expiresAt;
  const Slot slot = free_.empty() ? static_cast<Slot>(prefixes_.size()) : free_.back();
  policy_->admit(traits, nowMs);  // told of it; what is acknowledged is stored
  if (!policy_->insert(slot, traits, nowMs)) return;
  free_.empty() ? prefixes_.push_back(prefix) : free_.pop_back();
  prefixes_[slot] = prefix;
  table_[at] = slot;
  ++taken_;
  evictable_ += footprintOf(meta, recordBytes);
}

void Residents::remove(const EntryMeta& meta, uint64_t recordBytes, Departure why) {
  live_ -= footprintOf(meta, recordBytes);
  if (!policy_) return;
  const size_t at = place(prefixOf(meta.key));
  if (table_[at] == kEmpty) return;
  evictable_ -= footprintOf(meta, recordBytes);
  release(at, why);
}

void Residents::forget(Prefix prefix) {
  if (!policy_) return;
  const size_t at = place(prefix);
  if (table_[at] != kEmpty) release(at, Departure::kRemoved);
}

void Residents::release(size_t at, Departure why) {
  const Slot slot = table_[at];
  policy_->remove(slot, prefixes_[slot], why);
  erase(at);
  free_.push_back(slot);
  --taken_;
}

void Residents::touch(const StoreKey& key, uint64_t nowMs) {
  if (!policy_) return;
  const Prefix prefix = prefixOf(key);
  const Slot slot = slotOf(prefix);
  if (slot != kEmpty) policy_->touch(slot, prefix, nowMs);
}

bool Residents::mayGo(const StoreKey& key) const {
  return policy_ && slotOf(prefixOf(key)) != kEmpty;
}

std::optional<Residents::Prefix> Residents::victim(uint64_t nowMs) {
  const Slot slot = policy_ ? policy_->chooseVictim(nowMs) : kNoSlot;
  return slot == kNoSlot ? std::nullopt : std::optional(prefixes_[slot]);
}

void Residents::postpone(Prefix prefix, uint64_t nowMs) {
  const Slot slot = policy_ ? slotOf(prefix) : kNoSlot;
  if (slot != kNoSlot) policy_->postpone(slot, nowMs);
}

}  // namespace spolia::store
