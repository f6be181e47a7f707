#include "server/store/eviction/miss_ratio_curve.h"

#include <algorithm>
#include <cmath>
#include <list>
#include <random>

#include "tests/server/store/eviction/driven_cache.h"

namespace spolia::store {
namespace {

constexpr uint64_t kCurveMiB = 1 << 20;

struct Asked {
  uint64_t key, bytes;
  double seconds;
};

Asked askedFor(uint64_t key) {
  return {key, kCurveMiB * (1 + hashOf(key) % 4), 1.0 + static_cast<double>(hashOf(key + 7) % 8)};
}

// Popularity falls with the square of a uniform number; now and then a key that never comes back.
std::vector<Asked> workload(uint64_t seed, uint64_t keys, int accesses) {
  std::mt19937_64 random(seed);
  std::vector<Asked> out;
  for (int i = 0; i < accesses; ++i) {
    const double u = static_cast<double>(random() >> 11) * 0x1p-53;
    const auto popular = static_cast<uint64_t>(static_cast<double>(keys) * u * u);
    out.push_back(askedFor(i % 5 == 0 ? keys + i : popular));
  }
  return out;
}

// Hits and saved seconds of LRU caches, from exact stack distances: the bytes of the keys from the
// front of the list of last uses to the one asked for.
class ExactCurve {
 public:
  void access(const Asked& asked) {
    all_ += 1, allSeconds_ += asked.seconds;
    uint64_t distance = 0;
    for (auto it = stack_.begin(); it != stack_.end(); ++it) {
      distance += it->bytes;
      if (it->key != asked.key) continue;
      reuses_.push_back({distance, asked.seconds});
      stack_.erase(it);
      break;
    }
    stack_.push_front(asked);
  }
  double hitRatio(uint64_t capacity) const {
    return static_cast<double>(std::count_if(reuses_.begin(), reuses_.end(),
                                             [&](auto& r) { return r.first <= capacity; })) /
           all_;
  }
  double savedShare(uint64_t capacity) const {
    double saved = 0;
    for (const auto& [distance, seconds] : reuses_) saved += distance <= capacity ? seconds : 0;
    return saved / allSeconds_;
  }

 private:
  std::list<Asked> stack_;
  std::vector<std::pair<uint64_t, double>> reuses_;
  double all_ = 0, allSeconds_ = 0;
};

double worstError(const std::vector<Asked>& accesses, uint32_t maxFollowed, uint64_t largest) {
  MissRatioCurve curve({.maxFollowed = maxFollowed});
  ExactCurve exact;
  for (const Asked& asked : accesses) {
    curve.access(hashOf(asked.key), asked.bytes, asked.seconds);
    exact.access(asked);
  }
  double worst = 0;
  for (uint64_t capacity = largest; capacity > largest / 100; capacity = capacity * 3 / 4) {
    worst = std::max(worst, std::abs(curve.hitRatio(capacity) - exact.hitRatio(capacity)));
    worst = std::max(worst, std::abs(curve.savedShare(capacity) - exact.savedShare(capacity)));
  }
  return worst;
}

TEST(MissRatioCurveTest, WithEveryKeyFollowedItIsExactButForTheBuckets) {
  EXPECT_LT(worstError(workload(41, 2000, 20000), 1 << 16, 4000 * kCurveMiB), 0.01);
}

TEST(MissRatioCurveTest, AnEighthOfTheKeysIsNear) {
  double sum = 0;
  for (const uint64_t seed : {43, 44, 45}) {
    SCOPED_TRACE(seed);
    const double worst = worstError(workload(seed, 5000, 30000), 2048, 10000 * kCurveMiB);
    EXPECT_LT(worst, 0.1);
    sum += worst;
  }
  EXPECT_LT(sum / 3, 0.06);
}

TEST(MissRatioCurveTest, MoreRoomNeverLooksWorseAndTheEndsAreRight) {
  MissRatioCurve curve({.maxFollowed = 512});
  EXPECT_EQ(curve.hitRatio(kCurveMiB), 0);
  for (const Asked& asked : workload(47, 3000, 30000)) {
    curve.access(hashOf(asked.key), asked.bytes, asked.seconds);
  }
  double before = 0;
  for (uint64_t capacity = kCurveMiB; capacity < 100000 * kCurveMiB; capacity *= 2) {
    EXPECT_GE(curve.hitRatio(capacity), before);
    before = curve.hitRatio(capacity);
  }
  EXPECT_EQ(curve.hitRatio(0), 0);
  EXPECT_LT(before, 0.81) << "a fifth of the accesses is never repeated";
}

TEST(MissRatioCurveTest, FollowsABoundedNumberOfKeys) {
  MissRatioCurve curve({.maxFollowed = 256});
  for (uint64_t key = 0; key < 100000; ++key) {
    curve.access(hashOf(key), kCurveMiB, 1);
    ASSERT_LE(curve.followed(), 256u);
  }
  EXPECT_LT(curve.sampleRate(), 0.005);
}

TEST(MissRatioCurveTest, WhatLiesBeyondReachMakesRoomForTheRest) {
  MissRatioCurve curve({.maxFollowed = 256, .reachBytes = 100 * kCurveMiB});
  for (uint64_t key = 0; key < 100000; ++key) curve.access(hashOf(key), kCurveMiB, 1);
  EXPECT_EQ(curve.sampleRate(), 1) << "a hundred keys lie within reach: no need for a sample";
  for (int round = 0; round < 2000; ++round) {
    for (uint64_t key = 0; key < 50; ++key) curve.access(hashOf(key), kCurveMiB, 1);
  }
  EXPECT_GT(curve.hitRatio(60 * kCurveMiB), 0.45);
  EXPECT_LT(curve.hitRatio(40 * kCurveMiB), 0.05);
}

TEST(MissRatioCurveTest, ForgetsWhatWasLongAgo) {
  MissRatioCurve curve({.maxFollowed = 1 << 15, .halfLife = 1000});
  for (uint64_t i = 0; i < 20000; ++i) curve.access(hashOf(i % 10), kCurveMiB, 1);
  EXPECT_GT(curve.hitRatio(20 * kCurveMiB), 0.95);
  for (uint64_t i = 0; i < 20000; ++i) curve.access(hashOf(1000 + i), kCurveMiB, 1);
  EXPECT_LT(curve.hitRatio(20 * kCurveMiB), 0.01);
}

}  // namespace
}  // namespace spolia::store
