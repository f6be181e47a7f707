#include "server/store/lifetime/lease_table.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace spolia::store {
namespace {

uint64_t prefixOf(const StoreKey& key) {
  uint64_t prefix;
  std::memcpy(&prefix, key.bytes.data(), sizeof prefix);
  return prefix;
}

Status tooMuch(const std::string& what, uint64_t most) {
  return Status(ErrorCode::kResourceExhausted,
                what + ", the limit is " + std::to_string(most) + "; end other leases first");
}

template <typename Map, typename Key>
auto valueOr(const Map& map, const Key& key, typename Map::mapped_type otherwise) {
  const auto it = map.find(key);
  return it == map.end() ? otherwise : it->second;
}

}  // namespace

LeaseTable::LeaseTable(LeaseLimits limits, std::function<uint64_t()> clockMs)
    : limits_(limits), clockMs_(std::move(clockMs)) {}

uint64_t LeaseTable::lengthOf(uint64_t ttlMs) const {
  return std::min(ttlMs, limits_.longestSeconds * 1000);
}

Status LeaseTable::refuse(const LeaseHolder& holder, uint64_t entries, uint64_t bytes) const {
  const Use group = valueOr(groups_, holder.group, Use());
  if (valueOr(holders_, holder.holder, 0) + entries > limits_.holderEntries) {
    return tooMuch("entries leased on this connection", limits_.holderEntries);
  }
  if (group.entries + entries > limits_.groupEntries) {
    return tooMuch("entries leased by this tenant", limits_.groupEntries);
  }
  if (bytes > limits_.groupBytes - std::min(limits_.groupBytes, group.bytes)) {
    return tooMuch("bytes leased by this tenant", limits_.groupBytes);
  }
  if (total_.entries + entries > limits_.totalEntries) {
    return tooMuch("entries leased by all", limits_.totalEntries);
  }
  if (bytes > limits_.totalBytes - std::min(limits_.totalBytes, total_.bytes)) {
    return tooMuch("bytes leased by all", limits_.totalBytes);
  }
  return Status();
}

Result<LeaseGrant> LeaseTable::grant(const LeaseHolder& holder, std::span<const LeaseItem> items,
                                     uint64_t ttlMs) {
  // A prompt may name a chunk several times.
  std::map<Prefix, Footprint> distinct;
  for (const LeaseItem& item : items) distinct.emplace(prefixOf(item.key), item.takes);
  uint64_t bytes = 0;
  for (const auto& [prefix, takes] : distinct) bytes += takes.record;
  const std::lock_guard lock(mutex_);
  endOverdue();
  SPOLIA_RETURN_IF_ERROR(refuse(holder, distinct.size() + 1, bytes));
  const uint64_t id = nextId_++;
  Lease& lease = leases_[id];
  lease.holder = holder;
  lease.bytes = bytes;
  lease.deadlineMs = clockMs_() + lengthOf(ttlMs);
  for (const auto& [prefix, takes] : distinct) {
    lease.prefixes.push_back(prefix);
    Held& held = held_[prefix];
    if (held.leases++ > 0) continue;
    held.takes = takes;
    heldFootprint_ += takes;
  }
  deadlines_.emplace(lease.deadlineMs, id);
  holders_[holder.holder] += lease.cost();
  Use& group = groups_[holder.group];
  for (Use* use : {&group, &total_}) {
    use->entries += lease.cost();
    use->bytes += bytes;
  }
  return LeaseGrant{LeaseId{id}, lengthOf(ttlMs)};
}

Result<uint64_t> LeaseTable::renew(LeaseId id, uint64_t ttlMs) {
  const std::lock_guard lock(mutex_);
  endOverdue();
  const auto it = leases_.find(id.value);
  if (it == leases_.end()) return Status(ErrorCode::kNotFound, "the lease has ended");
  Lease& lease = it->second;
  deadlines_.erase({lease.deadlineMs, id.value});
  lease.deadlineMs = clockMs_() + lengthOf(ttlMs);
  deadlines_.emplace(lease.deadlineMs, id.value);
  return lengthOf(ttlMs);
}

void LeaseTable::release(LeaseId id) {
  const std::lock_guard lock(mutex_);
  end(id.value);
}

void LeaseTable::endOverdue() const {
  if (deadlines_.empty()) return;
  const uint64_t now = clockMs_();
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) end(deadlines_.begin()->second);
}

void LeaseTable::end(uint64_t id) const {
  const auto node = leases_.extract(id);
  if (node.empty()) return;
  const Lease& lease = node.mapped();
  deadlines_.erase({lease.deadlineMs, id});
  for (const Prefix prefix : lease.prefixes) {
    const auto held = held_.find(prefix);
    if (--held->second.leases > 0) continue;
    heldFootprint_ -= held->second.takes;
    held_.erase(held);
  }
  const uint64_t entries = lease.cost();
  const auto holder = holders_.find(lease.holder.holder);
  if ((holder->second -= entries) == 0) holders_.erase(holder);
  const auto group = groups_.find(lease.holder.group);
  for (Use* use : {&group->second, &total_}) {
    use->entries -= entries;
    use->bytes -= lease.bytes;
  }
  if (group->second.entries == 0) groups_.erase(group);
}

bool LeaseTable::holds(const StoreKey& key) const {
  const std::lock_guard lock(mutex_);
  endOverdue();
  return !held_.empty() && held_.contains(prefixOf(key));
}

Footprint LeaseTable::held() const {
  const std::lock_guard lock(mutex_);
  endOverdue();
  return heldFootprint_;
}

uint64_t LeaseTable::entries() const {
  const std::lock_guard lock(mutex_);
  endOverdue();
  return held_.size();
}

}  // namespace spolia::store
