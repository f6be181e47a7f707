// Residents: the entries of a store as its eviction policy sees them. Gives each a slot, keeps how
// many bytes are live against a budget, and names the one to give up. Keys are kept as 64 of their
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
  Residents(std::unique_ptr<EvictionPolicy> policy, WorthOf worthOf, uint64_t budgetBytes);

  // The entry is live, or ceased to be; `bytes` are its record's.
  void add(const EntryMeta& meta, uint64_t bytes, uint64_t nowMs);
  void remove(const StoreKey& key, uint64_t bytes, Departure why);
  void touch(const StoreKey& key, uint64_t nowMs);
  // Whether the entry is one that the policy may give up.
  bool mayGo(const StoreKey& key) const;

  // The entry to give up next; it stays until removed. None: nothing may be evicted.
  std::optional<Prefix> victim(uint64_t nowMs);
  // It cannot go now; others are named first.
  void postpone(Prefix prefix, uint64_t nowMs);

  uint64_t liveBytes() const { return liveBytes_; }
  uint64_t budget() const { return budget_; }
  // Whether so many bytes more would be over the budget.
  bool over(uint64_t bytes) const { return liveBytes_ + bytes > budget_; }
  // Whether so many bytes could be live if all that may go went.
  bool couldFit(uint64_t bytes) const;
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

  const std::unique_ptr<EvictionPolicy> policy_;
  const WorthOf worthOf_;
  const uint64_t budget_;
  uint64_t liveBytes_ = 0;
  std::vector<Prefix> prefixes_;  // by slot
  std::vector<Slot> free_;        // slots of prefixes_ that are not taken
  std::vector<Slot> table_;       // open addressing, linear probing; a power of two
  size_t taken_ = 0;
};

}  // namespace spolia::store
