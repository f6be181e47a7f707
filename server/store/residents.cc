#include "server/store/residents.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "server/store/index/index_value.h"

namespace spolia::store {

Residents::Residents(Config config) : config_(std::move(config)) {
  const auto policy = [&] { return config_.makePolicy ? config_.makePolicy() : nullptr; };
  const uint64_t budget = config_.budget.record;
  double promised = 0;
  for (const OwnerQuota& quota : config_.quotas) promised += static_cast<double>(quota.bytes);
  const double kept = std::min(1.0, static_cast<double>(budget) / std::max(1.0, promised));
  pools_.emplace_back(policy());
  pools_[0].share = budget - std::min(budget, static_cast<uint64_t>(promised));
  for (const OwnerQuota& quota : config_.quotas) {
    if (!poolOf_.emplace(quota.owner, pools_.size()).second) continue;
    Pool& pool = pools_.emplace_back(policy());
    pool.quota = quota.bytes;
    pool.share = static_cast<uint64_t>(static_cast<double>(quota.bytes) * kept);
    usage_[quota.owner] = {.owner = quota.owner, .quotaBytes = quota.bytes};
  }
}

uint32_t Residents::poolOf(OwnerTag owner) const {
  const auto found = poolOf_.find(owner);
  return found == poolOf_.end() ? 0 : found->second;
}

Footprint Residents::footprintOf(const EntryMeta& meta, uint64_t recordBytes) {
  return {recordBytes, indexedBytes(meta)};
}

void Residents::count(OwnerTag owner, uint64_t recordBytes, bool added, Departure why) {
  const std::lock_guard lock(mutex_);
  OwnerUsage& usage = usage_[owner];
  usage.owner = owner;
  if (added) {
    ++usage.entries;
    usage.usedBytes += recordBytes;
    return;
  }
  usage.entries -= std::min<uint64_t>(usage.entries, 1);
  usage.usedBytes -= std::min(usage.usedBytes, recordBytes);
  usage.evicted += why == Departure::kEvicted;
}

void Residents::add(const EntryMeta& meta, uint64_t recordBytes, uint64_t nowMs) {
  const EntryWorth worth = config_.worthOf(meta);
  const Footprint footprint = footprintOf(meta, recordBytes);
  Pool& pool = pools_[poolOf(worth.owner)];
  live_ += footprint;
  pool.live += footprint;
  count(worth.owner, recordBytes, true, Departure::kRemoved);
  if (!worth.evictable) return;
  ChunkTraits traits;
  traits.storedBytes = recordBytes;
  traits.recomputeSeconds = worth.recomputeSeconds;
  traits.chained = worth.chained;
  traits.depth = worth.depth;
  traits.kind = meta.kind;
  traits.expiresAt = meta.expiresAt;
  const auto parent = worth.parent ? std::optional(prefixOf(*worth.parent)) : std::nullopt;
  if (pool.entries.add(prefixOf(meta.key), parent, traits, nowMs)) pool.evictable += footprint;
}

void Residents::remove(const EntryMeta& meta, uint64_t recordBytes, Departure why) {
  const OwnerTag owner = config_.worthOf(meta).owner;
  const Footprint footprint = footprintOf(meta, recordBytes);
  Pool& pool = pools_[poolOf(owner)];
  live_ -= footprint;
  pool.live -= footprint;
  count(owner, recordBytes, false, why);
  if (pool.entries.remove(prefixOf(meta.key), recordBytes, why)) pool.evictable -= footprint;
}

// What it took is taken to be the mean.
void Residents::forget(const Victim& victim) {
  ResidentPool& entries = pools_[victim.pool].entries;
  const uint64_t mean = entries.bytes() / std::max<size_t>(1, entries.count());
  entries.remove(victim.prefix, mean, Departure::kRemoved);
}

void Residents::touch(const StoreKey& key, uint64_t nowMs) {
  const Prefix prefix = prefixOf(key);
  for (Pool& pool : pools_) {
    if (pool.entries.touch(prefix, nowMs)) return;
  }
}

bool Residents::mayGo(const StoreKey& key) const {
  const Prefix prefix = prefixOf(key);
  return std::ranges::any_of(pools_, [&](const Pool& pool) { return pool.entries.has(prefix); });
}

bool Residents::worthMoving(const StoreKey& key, uint64_t nowMs) const {
  const uint64_t budget = config_.budget.record;
  const bool full = live_.record >= budget - budget / 16;
  const Prefix prefix = prefixOf(key);
  return !std::ranges::any_of(pools_, [&](const Pool& pool) {
    // Those with a quota lose nothing that is within their share.
    const bool gives = pool.quota == UINT64_MAX ? pool.live.record >= pool.share - pool.share / 16
                                                : pool.live.record > pool.share;
    return full && gives && pool.entries.nextToGo(prefix, nowMs);
  });
}

Residents::Claim Residents::claim() const {
  Claim claim;
  claim.parts_.resize(pools_.size());
  return claim;
}

void Residents::claimAdded(Claim& claim, const EntryMeta& meta, uint64_t recordBytes) const {
  const Footprint footprint = footprintOf(meta, recordBytes);
  claim.added_ += footprint;
  claim.parts_[poolOf(config_.worthOf(meta).owner)].added += footprint;
}

void Residents::claimFreed(Claim& claim, const EntryMeta& meta, uint64_t recordBytes) const {
  const Footprint footprint = footprintOf(meta, recordBytes);
  claim.freed_ += footprint;
  claim.parts_[poolOf(config_.worthOf(meta).owner)].freed += footprint;
}

uint64_t Residents::recordWith(const Pool& pool, const Claim& claim, size_t number) {
  const Claim::Part& part = claim.parts_[number];
  return pool.live.record + part.added.record - std::min(pool.live.record, part.freed.record);
}

bool Residents::overQuota(size_t number, const Claim& claim) const {
  const Pool& pool = pools_[number];
  return pool.quota != UINT64_MAX && recordWith(pool, claim, number) > pool.quota;
}

bool Residents::over(const Claim& claim) const {
  if (!(live_ + claim.more()).within(config_.budget)) return true;
  for (size_t pool = 1; pool < pools_.size(); ++pool) {
    if (overQuota(pool, claim)) return true;
  }
  return false;
}

std::optional<Residents::Victim> Residents::victimOf(uint32_t pool, uint64_t nowMs) {
  const std::optional<Prefix> prefix = pools_[pool].entries.victim(nowMs);
  return prefix ? std::optional(Victim{pool, *prefix}) : std::nullopt;
}

std::optional<Residents::Victim> Residents::victim(const Claim& claim, uint64_t nowMs) {
  for (uint32_t pool = 1; pool < pools_.size(); ++pool) {
    if (!overQuota(pool, claim)) continue;
    if (const auto own = victimOf(pool, nowMs)) return own;
  }
  if ((live_ + claim.more()).within(config_.budget)) return std::nullopt;
  std::optional<uint32_t> furthest;
  // Also where more has to go than is over: those within their quota's share come last.
  const auto beyond = [&](uint32_t number) {
    const Pool& pool = pools_[number];
    const double excess =
        static_cast<double>(recordWith(pool, claim, number)) - static_cast<double>(pool.share);
    const bool last = pool.quota != UINT64_MAX && excess <= 0;
    return last ? excess - 2 * static_cast<double>(config_.budget.record) : excess;
  };
  for (uint32_t pool = 0; pool < pools_.size(); ++pool) {
    if (pools_[pool].entries.count() == 0) continue;
    if (!furthest || beyond(pool) > beyond(*furthest)) furthest = pool;
  }
  return furthest ? victimOf(*furthest, nowMs) : std::nullopt;
}

std::optional<Residents::Victim> Residents::victim(uint64_t nowMs) {
  Claim all = claim();
  all.added_ = config_.budget;
  all.added_.record += 1;
  return victim(all, nowMs);
}

void Residents::postpone(const Victim& victim, uint64_t nowMs) {
  pools_[victim.pool].entries.postpone(victim.prefix, nowMs);
}

bool Residents::couldFit(const Footprint& more) const {
  Footprint evictable;
  for (const Pool& pool : pools_) evictable += pool.evictable;
  return (live_ - evictable + more).within(config_.budget);
}

Status Residents::withinQuota(const EntryMeta& meta, uint64_t recordBytes) const {
  const Pool& pool = pools_[poolOf(config_.worthOf(meta).owner)];
  if (pool.quota == UINT64_MAX) return Status();
  const uint64_t stay = pool.live.record - std::min(pool.live.record, pool.evictable.record);
  if (recordBytes <= pool.quota && stay <= pool.quota - recordBytes) return Status();
  return Status(ErrorCode::kOutOfSpace, "the quota is " + std::to_string(pool.quota) +
                                            " bytes, the entry takes " +
                                            std::to_string(recordBytes) +
                                            " and what may not be evicted " + std::to_string(stay));
}

size_t Residents::evictable() const {
  size_t entries = 0;
  for (const Pool& pool : pools_) entries += pool.entries.count();
  return entries;
}

std::vector<OwnerUsage> Residents::usage() const {
  std::vector<OwnerUsage> out;
  const std::lock_guard lock(mutex_);
  for (const auto& [owner, usage] : usage_) out.push_back(usage);
  return out;
}

}  // namespace spolia::store
