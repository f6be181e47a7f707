#include "server/store/eviction/demand_curve.h"

#include <gtest/gtest.h>

#include <list>
#include <random>
#include <unordered_map>

namespace spolia::store {
namespace {

constexpr uint64_t kMiB = 1 << 20;

StoreKey keyOf(uint64_t n) {
  StoreKey key;
  key.bytes = sha256(std::as_bytes(std::span(&n, 1)));
  return key;
}

uint64_t bytesOf(uint64_t n) {
  return kMiB * (1 + n % 5);
}

// Exactly an LRU cache of so many bytes; absent keys are stored after they were asked for.
class Lru {
 public:
  explicit Lru(uint64_t bytes) : capacity_(bytes) {}
  bool ask(uint64_t key) {
    const auto found = where_.find(key);
    if (found != where_.end()) {
      order_.splice(order_.begin(), order_, found->second);
      ++hits_;
      return true;
    }
    order_.push_front(key);
    where_[key] = order_.begin();
    for (taken_ += bytesOf(key); taken_ > capacity_;) {
      taken_ -= bytesOf(order_.back());
      where_.erase(order_.back());
      order_.pop_back();
    }
    return false;
  }
  uint64_t hits() const { return hits_; }

 private:
  const uint64_t capacity_;
  uint64_t taken_ = 0, hits_ = 0;
  std::list<uint64_t> order_;
  std::unordered_map<uint64_t, std::list<uint64_t>::iterator> where_;
};

// Popularity by a power law, documents of five sizes, a fifth that never come back.
uint64_t drawn(std::mt19937_64& random, int i) {
  const double u = static_cast<double>(random() >> 11) * 0x1p-53;
  return i % 5 == 0 ? 1'000'000 + i : static_cast<uint64_t>(40'000 * u * u * u);
}

TEST(DemandCurve, IsThatOfLruCachesOfEachSize) {
  constexpr uint64_t kSeed = 5;
  SCOPED_TRACE(kSeed);
  std::mt19937_64 random(kSeed);
  const uint64_t entryBytes = 4000 * kMiB;
  DemandCurve curve(2 * entryBytes, entryBytes);
  EXPECT_TRUE(curve.points().empty());
  // The store itself hits by another policy: it has every third key.
  std::vector<Lru> exact;
  for (const double times : {0.5, 1.0, 1.25, 1.5, 2.0, 4.0, 8.0}) {
    exact.emplace_back(static_cast<uint64_t>(entryBytes * times));
  }
  constexpr int kAsked = 200'000;
  for (int i = 0; i < kAsked; ++i) {
    const uint64_t n = drawn(random, i);
    if (n % 3 == 0) {
      curve.found(keyOf(n), bytesOf(n), 1);
    } else {
      curve.missed(keyOf(n));
      curve.stored(keyOf(n), bytesOf(n));
    }
    for (Lru& lru : exact) lru.ask(n);
  }
  const std::vector<CapacityPoint> points = curve.points();
  ASSERT_EQ(points.size(), exact.size());
  for (size_t i = 0; i < points.size(); ++i) {
    const double hits = static_cast<double>(exact[i].hits()) / kAsked;
    EXPECT_NEAR(points[i].hitShare, hits, 0.03) << points[i].capacityBytes / kMiB << " MiB";
    EXPECT_NEAR(points[i].savedShare, hits, 0.06) << points[i].capacityBytes / kMiB << " MiB";
  }
  EXPECT_EQ(points[1].capacityBytes, 2 * entryBytes);
  EXPECT_GT(points[4].hitShare, points[0].hitShare + 0.05);
}

}  // namespace
}  // namespace spolia::store
