// ExpirySweep: finds the entries of an index that have expired, so that their space comes back
// without anybody asking for them. Goes through the whole index, some entries at a time, but only
// when something in it is due: it knows the soonest expiry of all, and an index in which nothing
// expires is never gone through.
//
// Threads: note() and nextDue() from any; step() from one.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "codec/base/result.h"
#include "server/store/index/index.h"

namespace spolia::store {

class ExpirySweep {
 public:
  static constexpr uint64_t kNever = UINT64_MAX;
  // Entries looked at by a step.
  static constexpr size_t kStep = 512;

  // `nowSeconds`: the store's time.
  explicit ExpirySweep(std::function<uint64_t()> nowSeconds) : nowSeconds_(std::move(nowSeconds)) {}

  // An entry expires then (0: never), or may be looked at again. True when nothing that is known
  // does so sooner.
  bool note(uint64_t expiresAt);
  // When there is something to do: 0 in the middle of a pass, kNever for nothing.
  uint64_t nextDue() const { return underWay_ ? 0 : soonest_.load(); }
  bool due() const { return nextDue() <= nowSeconds_(); }

  // Goes on with a pass, or begins one. The keys that have expired, of the entries looked at.
  Result<std::vector<StoreKey>> step(Index& index);

 private:
  const std::function<uint64_t()> nowSeconds_;
  std::atomic<uint64_t> soonest_{kNever};  // of what the pass has not found expired
  std::atomic<bool> underWay_{false};
  StoreKey next_;  // where the pass goes on
};

}  // namespace spolia::store
