#include "server/store/eviction/demand_curve.h"

#include <algorithm>
#include <cstring>

namespace spolia::store {
namespace {

constexpr double kCapacities[] = {0.5, 1, 1.25, 1.5, 2, 4, 8};
constexpr double kMeanMemory = 1.0 / 256;
// Before anything was found.
constexpr double kFirstBytes = 1 << 20;

uint64_t hashOf(const StoreKey& key) {
  uint64_t hash;
  std::memcpy(&hash, key.bytes.data(), sizeof hash);
  return hash;
}

}  // namespace

void DemandCurve::found(const StoreKey& key, uint64_t recordBytes, double recomputeSeconds) {
  const std::lock_guard lock(mutex_);
  const double bytes = static_cast<double>(recordBytes);
  if (meanBytes_ == 0) meanBytes_ = bytes, meanSeconds_ = recomputeSeconds;
  meanBytes_ += (bytes - meanBytes_) * kMeanMemory;
  meanSeconds_ += (recomputeSeconds - meanSeconds_) * kMeanMemory;
  asked_ = true;
  curve_.access(hashOf(key), std::max<uint64_t>(1, recordBytes), recomputeSeconds);
}

void DemandCurve::missed(const StoreKey& key) {
  const std::lock_guard lock(mutex_);
  asked_ = true;
  const double bytes = meanBytes_ == 0 ? kFirstBytes : meanBytes_;
  curve_.access(hashOf(key), static_cast<uint64_t>(bytes), meanSeconds_);
}

void DemandCurve::stored(const StoreKey& key, uint64_t recordBytes) {
  const std::lock_guard lock(mutex_);
  curve_.resize(hashOf(key), std::max<uint64_t>(1, recordBytes));
}

std::vector<CapacityPoint> DemandCurve::points() const {
  std::vector<CapacityPoint> out;
  const std::lock_guard lock(mutex_);
  if (!asked_) return out;
  for (const double times : kCapacities) {
    const auto scaled = [&](uint64_t bytes) {
      return static_cast<uint64_t>(static_cast<double>(bytes) * times);
    };
    const uint64_t entries = scaled(entryBytes_);
    out.push_back({scaled(capacityBytes_), curve_.hitRatio(entries), curve_.savedShare(entries)});
  }
  return out;
}

}  // namespace spolia::store
