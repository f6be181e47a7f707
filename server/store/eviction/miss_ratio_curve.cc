#include "server/store/eviction/miss_ratio_curve.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace spolia::store {
namespace {

constexpr int kNoBucket = -1;
constexpr uint32_t kPositionsPerKey = 4;

uint64_t mixForCurve(uint64_t keyHash) {
  const uint64_t x = (keyHash ^ (keyHash >> 31)) * 0x94d049bb133111eb;
  return x ^ (x >> 29);
}

// In buckets, fractions included; below 0 for less than the first.
double placeOf(double bytes, int perOctave, int firstOctave) {
  return (std::log2(bytes) - firstOctave) * perOctave;
}

}  // namespace

MissRatioCurve::MissRatioCurve(const MissRatioCurveConfig& config)
    : config_(config),
      keyAt_(kPositionsPerKey * config.maxFollowed),
      fenwick_(kPositionsPerKey * config.maxFollowed + 1) {}

bool MissRatioCurve::sampled(uint64_t keyHash) const {
  return mixForCurve(keyHash) <= sampleLimit_;
}

void MissRatioCurve::access(uint64_t keyHash, uint64_t bytes, double recomputeSeconds) {
  if (++accesses_ >= config_.halfLife) halve();
  hits_.all += 1;
  seconds_.all += recomputeSeconds;
  if (!sampled(keyHash)) return;
  int bucket = kNoBucket;
  if (const auto found = keys_.find(keyHash); found != keys_.end()) {
    const double distance = static_cast<double>(bytesSince(found->second.position)) / rate_;
    bucket =
        std::clamp(static_cast<int>(placeOf(distance, kPerOctave, kFirstOctave)), 0, kBuckets - 1);
    forget(keyHash);
  }
  record(hits_, 1 / rate_, bucket);
  record(seconds_, recomputeSeconds / rate_, bucket);
  place(keyHash, bytes);
}

void MissRatioCurve::resize(uint64_t keyHash, uint64_t bytes) {
  if (!sampled(keyHash)) return;
  const auto found = keys_.find(keyHash);
  if (found == keys_.end()) return;
  change(found->second.position,
         static_cast<int64_t>(bytes) - static_cast<int64_t>(found->second.bytes));
  found->second.bytes = bytes;
}

void MissRatioCurve::record(Sums& sums, double scaled, int bucket) {
  sums.sampled += scaled;
  if (bucket != kNoBucket) sums.near[bucket] += scaled;
}

// What the sample has too little or too much of the accesses is held to be that of a few very
// popular keys, which any cache holds (SHARDS-adj).
double MissRatioCurve::share(const Sums& sums, uint64_t capacityBytes) {
  if (sums.all <= 0) return 0;
  const double end = placeOf(static_cast<double>(capacityBytes), kPerOctave, kFirstOctave);
  double near = capacityBytes == 0 ? 0 : sums.all - sums.sampled;
  for (int b = 0; b < kBuckets && b < end; ++b) near += sums.near[b] * std::min(1.0, end - b);
  return std::clamp(near / sums.all, 0.0, 1.0);
}

// Bytes of the keys whose last access is not before that of `position`, itself included.
uint64_t MissRatioCurve::bytesSince(uint32_t position) const {
  int64_t before = 0;
  for (uint32_t i = position; i > 0; i &= i - 1) before += fenwick_[i];
  return bytes_ - static_cast<uint64_t>(before);
}

void MissRatioCurve::change(uint32_t position, int64_t bytes) {
  for (uint32_t i = position + 1; i < fenwick_.size(); i += i & -i) fenwick_[i] += bytes;
  bytes_ += static_cast<uint64_t>(bytes);
}

void MissRatioCurve::place(uint64_t keyHash, uint64_t bytes) {
  makeRoom();
  if (!sampled(keyHash)) return;
  if (end_ == keyAt_.size()) compact();
  keyAt_[end_] = keyHash;
  keys_[keyHash] = {end_, bytes};
  change(end_++, static_cast<int64_t>(bytes));
}

void MissRatioCurve::forget(uint64_t keyHash) {
  const auto found = keys_.find(keyHash);
  change(found->second.position, -static_cast<int64_t>(found->second.bytes));
  keys_.erase(found);
}

void MissRatioCurve::forgetOldest() {
  for (;; ++oldest_) {
    const auto found = keys_.find(keyAt_[oldest_]);
    if (found == keys_.end() || found->second.position != oldest_) continue;
    forget(keyAt_[oldest_]);
    return;
  }
}

void MissRatioCurve::makeRoom() {
  while (static_cast<double>(bytes_) / rate_ > static_cast<double>(config_.reachBytes)) {
    forgetOldest();
  }
  if (keys_.size() < config_.maxFollowed) return;
  sampleLimit_ /= 2;
  rate_ /= 2;
  std::vector<uint64_t> dropped;
  for (const auto& [keyHash, key] : keys_) {
    if (!sampled(keyHash)) dropped.push_back(keyHash);
  }
  for (const uint64_t keyHash : dropped) forget(keyHash);
}

void MissRatioCurve::compact() {
  std::vector<std::pair<uint32_t, uint64_t>> order;
  for (const auto& [keyHash, key] : keys_) order.emplace_back(key.position, keyHash);
  std::sort(order.begin(), order.end());
  std::fill(fenwick_.begin(), fenwick_.end(), 0);
  bytes_ = 0, end_ = 0, oldest_ = 0;
  for (const auto& [position, keyHash] : order) {
    Key& key = keys_[keyHash];
    key.position = end_;
    keyAt_[end_] = keyHash;
    change(end_++, static_cast<int64_t>(key.bytes));
  }
}

void MissRatioCurve::halve() {
  accesses_ = 0;
  for (Sums* sums : {&hits_, &seconds_}) {
    for (double& near : sums->near) near /= 2;
    sums->sampled /= 2;
    sums->all /= 2;
  }
}

}  // namespace spolia::store
