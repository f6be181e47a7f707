// How a StoreEngine gives up what has expired.
#include <spdlog/spdlog.h>

#include <utility>

#include "server/store/store_engine.h"

namespace spolia::store {
namespace {

// When an entry that cannot go now, though its time is over, is looked at again.
constexpr uint64_t kLaterSeconds = 10;

}  // namespace

// Of the entry of `key`; when it stays, its time is noted anew.
bool StoreEngine::mayExpire(const StoreKey& key, std::optional<IndexEntry>& entry) {
  Result<std::optional<IndexEntry>> known = index_.find(key);
  if (known.ok() && !*known) return false;
  const bool settled = known.ok() && !mutations_.contains(key) && index_.writable().ok();
  if (settled && expired((*known)->meta)) {
    entry = std::move(*known);
    return true;
  }
  const uint64_t now = config_.clock();
  const bool later =
      known.ok() && ((*known)->meta.expiresAt == 0 || (*known)->meta.expiresAt > now);
  config_.expires(later ? (*known)->meta.expiresAt : now + kLaterSeconds);
  return false;
}

// No tombstone is needed: when an entry expires stands in its record, which stands for one as an
// evicted entry's does.
void StoreEngine::expire(const std::vector<StoreKey>& keys) {
  Changes changes;
  for (const StoreKey& key : keys) {
    std::optional<IndexEntry> entry;
    if (mayExpire(key, entry)) giveUp(*entry, changes, Departure::kRemoved);
  }
  if (changes.evicted.empty()) return;
  if (const Status gone = applyEvictions(std::move(changes)); !gone.ok()) {
    spdlog::warn("giving up what has expired: {}", gone.message());
    config_.expires(config_.clock() + kLaterSeconds);
    return;
  }
  cleanedInVain_ = shrunkInVain_ = 0;  // there is more to gain than there was
  refreshFigures();
  if (!stalled_.empty()) relieve();
  shrink();
}

}  // namespace spolia::store
