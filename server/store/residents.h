// Residents: the entries of a store as its eviction policy sees them. Gives each a slot, keeps what
// the live ones take against a budget, and names the one to give up. Keys are kept as 64 of their
// bits; of two entries that share them the later is not known to the policy, and stays.
//
// Owned by the StoreEngine; one thread, the store's I/O thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "server/store/eviction/eviction_policy.h"
#include "server/store/store_types.h"

namespace spolia::store {

class Residents {
 public:
  // The first 8 bytes of a key.
  using Prefix = uint64_t;
  using WorthOf = std::function<EntryWorth(const EntryMeta&)>;

  // Without a policy nothing is ever evicted.
  Residents(std::unique_ptr<EvictionPolicy> policy, WorthOf worthOf, Footprint budget);

  // The entry is live, or ceased to be; `recordBytes` are its record's.
  void add(const EntryMeta& meta, uint64_t recordBytes, uint64_t nowMs);
  void remove(const EntryMeta& meta, uint64_t recordBytes, Departure why);
  // The index does not know it any more, so nobody can tell what it took.
  void forget(Prefix prefix);
  static Footprint footprintOf(const EntryMeta& meta, uint64_t recordBytes);
  void touch(const StoreKey& key, uint64_t nowMs);
  // Whether the entry is one that the policy may give up.
  bool mayGo(const StoreKey& key) const;

  // The entry to give up next; it stays until removed. None: nothing may be evicted.
  std::optional<Prefix> victim(uint64_t nowMs);
  // It cannot go now; others are named first.
  void postpone(Prefix prefix, uint64_t nowMs);

  const Footprint& live() const { return live_; }
  const Footprint& budget() const { return budget_; }
  // Whether so much more would be over the budget.
  bool over(const Footprint& more) const { return !(live_ + more).within(budget_); }
  // Whether so much more could be live if all that may go went.
  bool couldFit(const Footprint& more) const { return (live_ - evictable_ + more).within(budget_); }

  size_t evictable() const { return policy_ ? policy_->count() : 0; }

  static Prefix prefixOf(const StoreKey& key);
  // The least key that begins so.
  static StoreKey firstKeyOf(Prefix prefix);

 private:
  static constexpr Slot kEmpty = kNoSlot;

  size_t place(Prefix prefix) const;  // in table_: where it stands or would stand
  Slot slotOf(Prefix prefix) const { return table_[place(prefix)]; }
  void grow();
  void erase(size_t at);
  void release(size_t at, Departure why);

  const std::unique_ptr<EvictionPolicy> policy_;
  const WorthOf worthOf_;
  const Footprint budget_;
  Footprint live_;
  Footprint evictable_;           // the part of it that the policy may give up
  std::vector<Prefix> prefixes_;  // by slot
  std::vector<Slot> free_;        // slots of prefixes_ that are not taken
  std::vector<Slot> table_;       // open addressing, linear probing; a power of two
  size_t taken_ = 0;
};

}  // namespace spolia::store
