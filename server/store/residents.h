// Residents: the entries of a store as eviction sees them. Counts what the live ones take, in all
// and by owner, against the budget and the owners' quotas, and names the one to give up.
//
// An owner with a quota has a policy of its own, which chooses among its entries alone; all others
// share one. An owner over its quota gives up its own. When the store is full, whoever is furthest
// over its share does: the share of a quota is all of it, or as much of the budget as it is of all
// quotas where these are more than the budget; that of the others together is what is left.
//
// Owned by the StoreEngine; one thread, the store's I/O thread, but usage().
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "server/store/eviction/resident_pool.h"

namespace spolia::store {

class Residents {
 public:
  using Prefix = ResidentPool::Prefix;
  using WorthOf = std::function<EntryWorth(const EntryMeta&)>;

  struct Config {
    // A policy each for the quotas and one for all others; null: nothing is ever evicted.
    std::function<std::unique_ptr<EvictionPolicy>()> makePolicy;
    WorthOf worthOf;
    Footprint budget;
    std::vector<OwnerQuota> quotas;
  };
  struct Victim {
    uint32_t pool = 0;
    Prefix prefix = 0;
    bool operator==(const Victim&) const = default;
  };
  // What is about to be added and to cease, by whom.
  class Claim {
   public:
    Footprint more() const { return added_ - freed_; }

   private:
    friend class Residents;
    struct Part {
      Footprint added, freed;
    };
    Footprint added_, freed_;
    std::vector<Part> parts_;  // by pool
  };

  explicit Residents(Config config);

  // The entry is live, or ceased to be; `recordBytes` are its record's.
  void add(const EntryMeta& meta, uint64_t recordBytes, uint64_t nowMs);
  void remove(const EntryMeta& meta, uint64_t recordBytes, Departure why);
  // The index does not know it any more, so nobody can tell what it took.
  void forget(const Victim& victim);
  static Footprint footprintOf(const EntryMeta& meta, uint64_t recordBytes);
  void touch(const StoreKey& key, uint64_t nowMs);
  // Whether the entry is one that the policy may give up.
  bool mayGo(const StoreKey& key) const;
  // False when the store is about full and the entry among those that go next anyway.
  bool worthMoving(const StoreKey& key, uint64_t nowMs) const;

  Claim claim() const;
  void claimAdded(Claim& claim, const EntryMeta& meta, uint64_t recordBytes) const;
  void claimFreed(Claim& claim, const EntryMeta& meta, uint64_t recordBytes) const;

  // Whether with the claim the budget or a quota is exceeded.
  bool over(const Claim& claim) const;
  // The entry to give up for the claim; it stays until removed. None: nothing has to or may go.
  std::optional<Victim> victim(const Claim& claim, uint64_t nowMs);
  // The entry to give up when there have to be fewer.
  std::optional<Victim> victim(uint64_t nowMs);
  // It cannot go now; others are named first.
  void postpone(const Victim& victim, uint64_t nowMs);

  const Footprint& live() const { return live_; }
  const Footprint& budget() const { return config_.budget; }
  // Whether so much more could be live if all that may go went.
  bool couldFit(const Footprint& more) const;
  // kOutOfSpace naming the quota that a new entry could not be within.
  Status withinQuota(const EntryMeta& meta, uint64_t recordBytes) const;

  size_t evictable() const;
  // Whether the order of adding matters.
  bool ordered() const { return pools_.front().entries.ordered(); }

  // Of each owner that has entries or a quota. Any thread.
  std::vector<OwnerUsage> usage() const;

  static Prefix prefixOf(const StoreKey& key) { return ResidentPool::prefixOf(key); }
  static StoreKey firstKeyOf(Prefix prefix) { return ResidentPool::firstKeyOf(prefix); }

 private:
  struct Pool {
    explicit Pool(std::unique_ptr<EvictionPolicy> policy) : entries(std::move(policy)) {}
    ResidentPool entries;
    Footprint live, evictable;
    uint64_t quota = UINT64_MAX;
    uint64_t share = 0;  // of the budget's record bytes
  };

  static uint64_t recordWith(const Pool& pool, const Claim& claim, size_t number);
  uint32_t poolOf(OwnerTag owner) const;
  bool overQuota(size_t number, const Claim& claim) const;
  std::optional<Victim> victimOf(uint32_t pool, uint64_t nowMs);
  void count(OwnerTag owner, uint64_t recordBytes, bool added, Departure why);

  const Config config_;
  std::vector<Pool> pools_;  // the first is for owners without quota
  std::unordered_map<OwnerTag, uint32_t> poolOf_;
  Footprint live_;
  mutable std::mutex mutex_;
  std::unordered_map<OwnerTag, OwnerUsage> usage_;  // guarded by mutex_
};

}  // namespace spolia::store
