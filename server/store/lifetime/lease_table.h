// LeaseTable: which entries somebody has been promised that they stay, and until when. A leased
// entry is not evicted, does not expire and outlives the emptying of its segment; removing,
// replacing and damage end it all the same. Leases end by themselves, and with the process.
//
// Owned by the store. Any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "codec/base/result.h"
#include "server/store/store_types.h"

namespace spolia::store {

struct LeaseLimits {
  uint64_t longestSeconds = 10 * 60;
  // Entries of leases that last, counted for each lease, and one for each lease; bytes of their
  // records, likewise.
  uint64_t holderEntries = 16384;
  uint64_t groupEntries = 65536;
  uint64_t groupBytes = UINT64_MAX;
  uint64_t totalEntries = 262144;
  uint64_t totalBytes = UINT64_MAX;

  // Of a store with such a capacity: no more than half of it for all, a quarter for a group.
  LeaseLimits within(uint64_t capacityBytes) const;
};

// Who leases: a connection, and the tenant it belongs to.
struct LeaseHolder {
  uint64_t holder = 0;
  std::string group;
};

struct LeaseItem {
  StoreKey key;
  Footprint takes;
  OwnerTag owner = 0;
};

struct LeaseId {
  uint64_t value = 0;
  auto operator<=>(const LeaseId&) const = default;
};

struct LeaseGrant {
  LeaseId id;
  uint64_t lengthMs = 0;
};

class LeaseTable {
 public:
  // `clockMs` never goes back.
  LeaseTable(LeaseLimits limits, std::function<uint64_t()> clockMs);
  LeaseTable(const LeaseTable&) = delete;
  LeaseTable& operator=(const LeaseTable&) = delete;

  // Holds the items for `ttlMs` from now, or for as long as the limits allow. kResourceExhausted
  // naming the limit, and nothing is held then.
  Result<LeaseGrant> grant(const LeaseHolder& holder, std::span<const LeaseItem> items,
                           uint64_t ttlMs);
  // So much from now on, or for as long as the limits allow: which of them. kNotFound when the
  // lease has ended.
  Result<uint64_t> renew(LeaseId id, uint64_t ttlMs);
  // Nothing happens when it has ended.
  void release(LeaseId id);

  const LeaseLimits& limits() const { return limits_; }
  bool holds(const StoreKey& key) const;
  // What leased entries take, each once.
  Footprint held() const;
  // Of an owner's entries, the bytes of their records.
  uint64_t heldOf(OwnerTag owner) const;
  uint64_t entries() const;

 private:
  // The first 8 bytes of a key; two keys that share them hold one another.
  using Prefix = uint64_t;
  struct Held {
    uint64_t leases = 0;
    Footprint takes;
    OwnerTag owner = 0;
  };
  struct Use {
    uint64_t entries = 0;
    uint64_t bytes = 0;
  };
  struct Lease {
    LeaseHolder holder;
    uint64_t deadlineMs = 0;
    uint64_t bytes = 0;
    std::vector<Prefix> prefixes;

    uint64_t cost() const { return prefixes.size() + 1; }
  };

  Status refuse(const LeaseHolder& holder, uint64_t entries, uint64_t bytes) const;
  void endOverdue() const;
  void end(uint64_t id) const;
  uint64_t lengthOf(uint64_t ttlMs) const;

  const LeaseLimits limits_;
  const std::function<uint64_t()> clockMs_;
  mutable std::mutex mutex_;  // guards the rest
  // Looking ends what is over.
  mutable std::unordered_map<uint64_t, Lease> leases_;
  mutable std::set<std::pair<uint64_t, uint64_t>> deadlines_;  // and ids
  mutable std::unordered_map<Prefix, Held> held_;
  mutable std::map<uint64_t, uint64_t> holders_;  // mentions
  mutable std::map<std::string, Use> groups_;
  mutable Use total_;
  mutable Footprint heldFootprint_;
  mutable std::unordered_map<OwnerTag, uint64_t> heldOf_;
  uint64_t nextId_ = 1;
};

}  // namespace spolia::store
