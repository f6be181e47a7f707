#include "server/store/eviction/reuse_model.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace spolia::store {
namespace {

constexpr uint32_t kRebuildEvery = 2048;  // followed accesses
// Before anything is known: the same chance in every half octave of age, which orders as LRU does.
constexpr double kFirstHazard = 0.02;
constexpr int kClassesOfUse = kReuseDetails * kReuseOrigins;
constexpr int kClasses = kReuseUses * kClassesOfUse;

int indexOf(ReuseClass klass) {
  return klass.use * kClassesOfUse + klass.detail * kReuseOrigins + klass.origin;
}

uint64_t mixForModel(uint64_t keyHash) {
  const uint64_t x = (keyHash ^ (keyHash >> 29)) * 0xbf58476d1ce4e5b9;
  return x ^ (x >> 32);
}

// First age, in ticks, of a bucket: 0, 1, 2, 3, 4, 6, 8, 12, ...
constexpr double bucketStart(int bucket) {
  if (bucket < 2) return bucket;
  return static_cast<double>((bucket % 2 == 1 ? 3ull : 2ull) << (bucket / 2 - 1));
}

}  // namespace

ReuseModel::ReuseModel(const ReuseModelParams& params)
    : params_(params),
      decay_(std::exp2(-static_cast<double>(kRebuildEvery) / params.halfLife)),
      counts_(kClasses),
      rates_(kClasses) {
  for (double weight = 1; weight > 1e-6; weight *= decay_) {
    decays_.push_back(static_cast<float>(weight));
  }
  rebuild(0);
}

int ReuseModel::bucketOf(uint32_t age) {
  if (age < 2) return static_cast<int>(age);
  const int octave = std::bit_width(age) - 1;
  return std::min(kBuckets - 1, 2 * octave + static_cast<int>(age >> (octave - 1) & 1));
}

bool ReuseModel::sampled(uint64_t keyHash) const {
  return mixForModel(keyHash) <= sampleLimit_;
}

// Observations count from when they began, so that those which ended early have no advantage over
// those that are still open.
float ReuseModel::weight(const Followed& followed) const {
  const uint32_t rebuilds = epoch_ - followed.epoch;
  return rebuilds < decays_.size() ? decays_[rebuilds] : 0;
}

void ReuseModel::access(uint64_t keyHash, ReuseClass klass, uint32_t now) {
  if (!sampled(keyHash)) return;
  if (++sinceRebuild_ >= kRebuildEvery) rebuild(now);
  const Followed next{keyHash, now, epoch_, klass};
  if (const auto found = where_.find(keyHash); found != where_.end()) {
    const Followed& last = *found->second;
    Counts& counts = counts_[indexOf(last.klass)];
    counts.reused[bucketOf(now - last.since)] += weight(last);
    counts.any = true;
    *found->second = next;
    followed_.splice(followed_.begin(), followed_, found->second);
    return;
  }
  makeRoom(now);
  if (!sampled(keyHash)) return;
  followed_.push_front(next);
  where_[keyHash] = followed_.begin();
}

void ReuseModel::drop(std::list<Followed>::iterator followed) {
  where_.erase(followed->keyHash);
  followed_.erase(followed);
}

void ReuseModel::makeRoom(uint32_t now) {
  if (followed_.size() < params_.maxFollowed) return;
  const Followed& oldest = followed_.back();
  if (now - oldest.since >= followTicks_ && followTicks_ > 0) {
    Counts& counts = counts_[indexOf(oldest.klass)];
    counts.ended[bucketOf(now - oldest.since)] += weight(oldest);
    counts.any = true;
    drop(std::prev(followed_.end()));
    return;
  }
  sampleLimit_ /= 2;
  for (auto it = followed_.begin(); it != followed_.end();) {
    const auto next = std::next(it);
    if (!sampled(it->keyHash)) drop(it);
    it = next;
  }
}

void ReuseModel::Counts::add(const Counts& other) {
  any |= other.any;
  for (int b = 0; b < kBuckets; ++b) {
    reused[b] += other.reused[b];
    ended[b] += other.ended[b];
  }
}

// A bucket and its neighbours, weighted by their distance, as a mean: chunks asked for together
// make reuse look more concentrated in time than it is.
double ReuseModel::smoothed(const Hazards& values, int bucket) const {
  const double near = params_.smoothing, far = std::pow(near, 4);
  const auto at = [&](int b) { return b < 0 || b >= kBuckets ? 0 : values[b]; };
  const double sum = at(bucket) + near * (at(bucket - 1) + at(bucket + 1)) +
                     far * (at(bucket - 2) + at(bucket + 2));
  return sum / (1 + 2 * near + 2 * far);
}

// hazard[b]: of the chunks that reached age bucket b, the share asked for again within it.
ReuseModel::Hazards ReuseModel::hazards(const Counts& counts, const Hazards& prior,
                                        double weight) const {
  Hazards reused, atRisk, out;
  double beyond = 0;
  for (int b = kBuckets - 1; b >= 0; --b) {
    reused[b] = counts.reused[b];
    atRisk[b] = beyond + counts.reused[b] + counts.ended[b] / 2;
    beyond += counts.reused[b] + counts.ended[b];
  }
  for (int b = 0; b < kBuckets; ++b) {
    out[b] = (smoothed(reused, b) + weight * prior[b]) / (smoothed(atRisk, b) + weight);
  }
  return out;
}

void ReuseModel::rebuild(uint32_t now) {
  sinceRebuild_ = 0;
  ++epoch_;
  const float decay = static_cast<float>(decay_);
  for (Counts& counts : counts_) {
    if (!counts.any) continue;
    for (float& count : counts.reused) count *= decay;
    for (float& count : counts.ended) count *= decay;
  }
  std::vector<Counts> withOpen(counts_);
  for (const Followed& followed : followed_) {
    Counts& counts = withOpen[indexOf(followed.klass)];
    counts.ended[bucketOf(now - followed.since)] += weight(followed);
    counts.any = true;
  }
  fillRates(withOpen);
}

void ReuseModel::fillRates(const std::vector<Counts>& counts) {
  Counts all, ofUse[kReuseUses];
  std::vector<Counts> ofDetail(kReuseUses * kReuseDetails);
  for (int c = 0; c < kClasses; ++c) {
    if (counts[c].any) ofDetail[c / kReuseOrigins].add(counts[c]);
  }
  for (int d = 0; d < kReuseUses * kReuseDetails; ++d) ofUse[d / kReuseDetails].add(ofDetail[d]);
  for (const Counts& use : ofUse) all.add(use);
  const double weight = params_.priorWeight;
  Hazards first;
  first.fill(kFirstHazard);
  const Hazards overall = hazards(all, first, 1);
  for (int d = 0; d < kReuseUses * kReuseDetails; ++d) {
    const Hazards prior =
        hazards(ofDetail[d], hazards(ofUse[d / kReuseDetails], overall, weight), weight);
    const Rates wider = ratesOf(prior);
    for (int c = d * kReuseOrigins; c < (d + 1) * kReuseOrigins; ++c) {
      rates_[c] = counts[c].any ? ratesOf(hazards(counts[c], prior, weight)) : wider;
    }
  }
}

ReuseModel::Rates ReuseModel::ratesOf(const Hazards& hazard) const {
  Rates out;
  for (int from = 0; from < kBuckets - 1; ++from) {
    double reached = 1, asked = 0, held = shortestHold_, best = 0;
    for (int b = from; b < kBuckets - 1; ++b) {
      const double width = bucketStart(b + 1) - bucketStart(b);
      asked += reached * hazard[b];
      held += reached * width * (1 - hazard[b] / 2);
      reached *= 1 - hazard[b];
      best = std::max(best, asked / held);
    }
    out[from] = static_cast<float>(best);
  }
  out[kBuckets - 1] = out[kBuckets - 2];
  return out;
}

// Between the middles of two buckets the rate is between theirs.
double ReuseModel::rate(ReuseClass klass, uint32_t age) const {
  const Rates& rates = rates_[indexOf(klass)];
  const int bucket = bucketOf(age);
  const double start = bucketStart(bucket), width = bucketStart(bucket + 1) - start;
  const double at = (age - start) / width;
  const int other = std::clamp(bucket + 1, 0, kBuckets - 1);
  return rates[bucket] + at * (rates[other] - rates[bucket]);
}

size_t ReuseModel::stateBytes() const {
  constexpr size_t kFollowedBytes = sizeof(Followed) + 2 * 16 + 48;
  return followed_.size() * kFollowedBytes + counts_.size() * sizeof(Counts) +
         rates_.size() * sizeof(Rates);
}

}  // namespace spolia::store
