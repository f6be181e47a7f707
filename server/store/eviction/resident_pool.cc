#include "server/store/eviction/resident_pool.h"

#include <cstring>

namespace spolia::store {
namespace {

constexpr size_t kPrefixBytes = SlotTable::kKeyBits / 8;
static_assert(SlotTable::kKeyBits % 8 == 4);

}  // namespace

uint64_t ResidentPool::hashOf(Prefix prefix) {
  const uint64_t x = prefix * 0x9e3779b97f4a7c15;
  return x ^ (x >> 32);
}

// Five bytes and the upper half of the sixth.
ResidentPool::Prefix ResidentPool::prefixOf(const StoreKey& key) {
  Prefix prefix = 0;
  std::memcpy(&prefix, key.bytes.data(), kPrefixBytes);
  return prefix | Prefix{static_cast<uint8_t>(key.bytes[kPrefixBytes])} >> 4 << 8 * kPrefixBytes;
}

StoreKey ResidentPool::firstKeyOf(Prefix prefix) {
  StoreKey key{};
  std::memcpy(key.bytes.data(), &prefix, kPrefixBytes);
  key.bytes[kPrefixBytes] = static_cast<std::byte>(prefix >> 8 * kPrefixBytes << 4);
  return key;
}

void ResidentPool::dropUnneeded(Slot slot) {
  if (slot != kNoSlot && !policy_->needs(slot)) table_.erase(slot);
}

bool ResidentPool::add(Prefix prefix, std::optional<Prefix> parent, ChunkTraits traits,
                       uint64_t nowMs) {
  if (!policy_ || has(prefix)) return false;
  const Slot slot = table_.insert(prefix);
  if (slot == kNoSlot) return false;
  const bool hangs = parent && *parent != prefix && policy_->knowsParents();
  traits.keyHash = hashOf(prefix);
  traits.parent = hangs ? table_.insert(*parent) : kNoSlot;
  policy_->admit(traits, nowMs);  // told of it; the answer: POLICY.md, "Admission"
  const bool inserted = policy_->insert(slot, traits, nowMs);
  if (!inserted) {
    dropUnneeded(slot);
    dropUnneeded(traits.parent);
  }
  return inserted;
}

bool ResidentPool::remove(Prefix prefix, uint64_t bytes, Departure why) {
  const Slot slot = slotOf(prefix);
  if (!stored(slot)) return false;
  const Slot parent = policy_->parentOf(slot);
  policy_->remove(slot, hashOf(prefix), bytes, why);
  dropUnneeded(slot);
  dropUnneeded(parent);
  return true;
}

bool ResidentPool::touch(Prefix prefix, uint64_t nowMs) {
  const Slot slot = slotOf(prefix);
  if (!stored(slot)) return false;
  policy_->touch(slot, hashOf(prefix), nowMs);
  return true;
}

std::optional<ResidentPool::Prefix> ResidentPool::victim(uint64_t nowMs) {
  const Slot slot = policy_ ? policy_->chooseVictim(nowMs) : kNoSlot;
  return slot == kNoSlot ? std::nullopt : std::optional(table_.keyOf(slot));
}

void ResidentPool::postpone(Prefix prefix, uint64_t nowMs) {
  if (const Slot slot = slotOf(prefix); slot != kNoSlot) policy_->postpone(slot, nowMs);
}

bool ResidentPool::nextToGo(Prefix prefix, uint64_t nowMs) const {
  const Slot slot = slotOf(prefix);
  return stored(slot) && policy_->nextToGo(slot, nowMs);
}

}  // namespace spolia::store
