#include "server/store/eviction/arc_policy.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <random>

#include "tests/server/store/eviction/driven_cache.h"

namespace spolia::store {
namespace {

// The algorithm as the paper's figure 4 has it, with lists searched from end to end, for pages of
// one size.
class NaiveArc {
 public:
  explicit NaiveArc(size_t capacity) : c_(capacity) {}

  bool ask(uint64_t key) {
    if (drop(t1_, key) || drop(t2_, key)) {
      t2_.push_front(key);
      return true;
    }
    const bool inB1 = has(b1_, key), inB2 = has(b2_, key);
    if (inB1) {
      p_ = std::min<double>(c_, p_ + std::floor(std::max(1.0, ratio(b2_, b1_))));
    } else if (inB2) {
      p_ = std::max(0.0, p_ - std::floor(std::max(1.0, ratio(b1_, b2_))));
    }
    if (t1_.size() + t2_.size() == c_) replace(inB2);
    drop(b1_, key), drop(b2_, key);
    (inB1 || inB2 ? t2_ : t1_).push_front(key);
    while (t1_.size() + b1_.size() > c_) b1_.pop_back();
    while (t1_.size() + t2_.size() + b1_.size() + b2_.size() > 2 * c_) b2_.pop_back();
    return false;
  }

  std::vector<uint64_t> evicted;
  double target() const { return p_; }

 private:
  using Keys = std::deque<uint64_t>;  // newest first

  static bool has(const Keys& keys, uint64_t key) {
    return std::find(keys.begin(), keys.end(), key) != keys.end();
  }
  static bool drop(Keys& keys, uint64_t key) { return std::erase(keys, key) > 0; }
  static double ratio(const Keys& a, const Keys& b) {
    return static_cast<double>(a.size()) / static_cast<double>(b.size());
  }
  void replace(bool inB2) {
    const double once = static_cast<double>(t1_.size());
    const bool first = !t1_.empty() && (once > p_ || (inB2 && once == p_) || t2_.empty());
    Keys& from = first ? t1_ : t2_;
    (first ? b1_ : b2_).push_front(from.back());
    evicted.push_back(from.back());
    from.pop_back();
  }

  const size_t c_;
  double p_ = 0;
  Keys t1_, t2_, b1_, b2_;
};

TEST(ArcPolicyTest, SameVictimsAndTargetAsThePapersFigure) {
  const uint64_t seed = 11;
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  ArcPolicy policy(50);
  DrivenCache cache(policy);
  NaiveArc naive(50);
  uint64_t scan = 1000;
  for (int i = 0; i < 30000; ++i) {
    const bool scanning = i / 500 % 3 == 2;
    const uint64_t key = scanning ? ++scan : std::min(random() % 120, random() % 120);
    ASSERT_EQ(cache.ask(key, 1), naive.ask(key)) << "access " << i;
    ASSERT_EQ(static_cast<double>(policy.onceTarget()), naive.target()) << "access " << i;
  }
  EXPECT_EQ(cache.evicted, naive.evicted);
}

TEST(ArcPolicyTest, AScanLeavesWhatWasAskedForAgain) {
  ArcPolicy policy(100);
  DrivenCache cache(policy);
  for (int round = 0; round < 3; ++round) {
    for (uint64_t key = 0; key < 50; ++key) cache.ask(key, 1);
  }
  for (uint64_t key = 1000; key < 2000; ++key) cache.ask(key, 1);
  for (uint64_t key = 0; key < 50; ++key) EXPECT_TRUE(cache.has(key)) << key;
}

TEST(ArcPolicyTest, WhatWasRemovedIsNoGhost) {
  ArcPolicy policy(4);
  DrivenCache cache(policy);
  cache.ask(1, 1);
  cache.remove(1);
  cache.ask(1, 1);
  for (uint64_t key : {2, 3, 4, 5}) cache.ask(key, 1);
  EXPECT_EQ(cache.evicted, (std::vector<uint64_t>{1})) << "a new chunk, so the oldest asked once";
  EXPECT_EQ(policy.onceTarget(), 0u);
}

}  // namespace
}  // namespace spolia::store
