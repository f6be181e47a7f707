#include "server/store/eviction/gdsf_policy.h"

#include <algorithm>
#include <map>
#include <random>

#include "tests/server/store/eviction/driven_cache.h"

namespace spolia::store {
namespace {

TEST(GdsfPolicyTest, WhatIsCheapForItsBytesGoesFirst) {
  GdsfPolicy policy(30, GdsfCost::kSeconds);
  DrivenCache cache(policy);
  cache.ask(1, 10, 0, 5);
  cache.ask(2, 10, 0, 1);
  cache.ask(3, 10, 0, 9);
  cache.ask(4, 10, 0, 2);
  EXPECT_EQ(cache.evicted, (std::vector<uint64_t>{2}));
}

TEST(GdsfPolicyTest, InflationLetsWhatWasUsedOftenGoInTheEnd) {
  GdsfPolicy policy(2, GdsfCost::kOne);
  DrivenCache cache(policy);
  for (int i = 0; i < 5; ++i) cache.ask(1, 1);
  for (uint64_t key = 10; key < 20; ++key) cache.ask(key, 1);
  EXPECT_FALSE(cache.has(1));
}

TEST(GdsfPolicyTest, SameVictimsAsSearchingForTheLeast) {
  struct Entry {
    double density, priority;
    uint64_t bytes, order, uses;
  };
  const uint64_t seed = 17;
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  GdsfPolicy policy(300, GdsfCost::kSeconds);
  DrivenCache cache(policy);
  std::map<uint64_t, Entry> naive;
  std::vector<uint64_t> expected;
  double inflation = 0;
  uint64_t used = 0;
  for (uint64_t i = 0; i < 20000; ++i) {
    const uint64_t key = std::min(random() % 200, random() % 200), bytes = 1 + hashOf(key) % 9;
    const double seconds = 0.5 + static_cast<double>(hashOf(key) % 7);
    cache.ask(key, bytes, 0, seconds);
    if (const auto found = naive.find(key); found != naive.end()) {
      Entry& entry = found->second;
      entry.priority = inflation + static_cast<double>(++entry.uses) * entry.density;
      entry.order = i;
      continue;
    }
    while (used + bytes > 300) {
      const auto least = std::min_element(naive.begin(), naive.end(), [](auto& a, auto& b) {
        return std::pair(a.second.priority, a.second.order) <
               std::pair(b.second.priority, b.second.order);
      });
      inflation = least->second.priority;
      used -= least->second.bytes;
      expected.push_back(least->first);
      naive.erase(least);
    }
    const double density = seconds / static_cast<double>(bytes);
    naive[key] = {density, inflation + density, bytes, i, 1};
    used += bytes;
  }
  EXPECT_EQ(cache.evicted, expected);
}

}  // namespace
}  // namespace spolia::store
