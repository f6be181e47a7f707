// ResidentPool: entries among which one policy chooses, by the beginnings of their keys. An entry
// that others hang on keeps its slot when it is not there, so that it finds them again, in
// whichever order they come.
//
// Owned by Residents; one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "server/store/eviction/eviction_policy.h"
#include "server/store/eviction/slot_table.h"
#include "server/store/store_types.h"

namespace spolia::store {

class ResidentPool {
 public:
  // The first 44 bits of a key. Of two entries that share them the later is not known here.
  using Prefix = SlotTable::Key;
  static Prefix prefixOf(const StoreKey& key);
  // The least key that begins so.
  static StoreKey firstKeyOf(Prefix prefix);

  // What the policy is told of it: 64 uniform bits.
  static uint64_t hashOf(Prefix prefix);

  // Without a policy nothing is known and nothing goes.
  explicit ResidentPool(std::unique_ptr<EvictionPolicy> policy) : policy_(std::move(policy)) {}

  // False when the policy does not get to know it. `traits` without key hash and parent.
  bool add(Prefix prefix, std::optional<Prefix> parent, ChunkTraits traits, uint64_t nowMs);
  // False when it was not known. `bytes` as added.
  bool remove(Prefix prefix, uint64_t bytes, Departure why);
  bool touch(Prefix prefix, uint64_t nowMs);
  bool has(Prefix prefix) const { return stored(slotOf(prefix)); }
  // None: nothing may go.
  std::optional<Prefix> victim(uint64_t nowMs);
  void postpone(Prefix prefix, uint64_t nowMs);
  bool nextToGo(Prefix prefix, uint64_t nowMs) const;

  size_t count() const { return policy_ ? policy_->count() : 0; }
  uint64_t bytes() const { return policy_ ? policy_->bytes() : 0; }
  // Those taken: one each, and one for each parent that is missed.
  size_t slots() const { return table_.size(); }
  bool ordered() const { return policy_ && policy_->ordered(); }

 private:
  Slot slotOf(Prefix prefix) const { return policy_ ? table_.find(prefix) : kNoSlot; }
  bool stored(Slot slot) const { return slot != kNoSlot && policy_->contains(slot); }
  void dropUnneeded(Slot slot);

  std::unique_ptr<EvictionPolicy> policy_;
  SlotTable table_;
};

}  // namespace spolia::store
