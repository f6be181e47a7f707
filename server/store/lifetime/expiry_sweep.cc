#include "server/store/lifetime/expiry_sweep.h"

namespace spolia::store {

bool ExpirySweep::note(uint64_t expiresAt) {
  if (expiresAt == 0) return false;
  uint64_t known = soonest_.load();
  while (expiresAt < known) {
    if (soonest_.compare_exchange_weak(known, expiresAt)) return true;
  }
  return false;
}

// What is put while a pass runs is noted by whoever puts it, so a pass may forget what was known
// before it.
Result<std::vector<StoreKey>> ExpirySweep::step(Index& index) {
  if (!underWay_) {
    soonest_ = kNever;
    next_ = StoreKey{};
    underWay_ = true;
  }
  const uint64_t now = nowSeconds_();
  std::vector<StoreKey> expired;
  size_t seen = 0;
  bool more = false;
  const Status scanned = index.scan(next_, [&](const IndexEntry& entry) {
    if (seen++ == kStep) {
      next_ = entry.meta.key;
      more = true;
      return false;
    }
    const uint64_t at = entry.meta.expiresAt;
    if (at != 0 && at <= now)
      expired.push_back(entry.meta.key);
    else
      note(at);
    return true;
  });
  if (!more) underWay_ = false;
  if (scanned.ok()) return expired;
  // Whatever the rest of the index holds is found by the next pass.
  underWay_ = false;
  note(now + 60);
  return scanned;
}

}  // namespace spolia::store
