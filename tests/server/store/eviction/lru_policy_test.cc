#include "server/store/eviction/lru_policy.h"

#include <algorithm>
#include <list>
#include <random>

#include "tests/server/store/eviction/driven_cache.h"

namespace spolia::store {
namespace {

TEST(LruPolicyTest, OldestGoesAndAHitRenews) {
  LruPolicy policy(3);
  DrivenCache cache(policy);
  for (uint64_t key : {1, 2, 3, 1, 4, 5}) cache.ask(key, 1);
  EXPECT_EQ(cache.evicted, (std::vector<uint64_t>{2, 3}));
}

TEST(LruPolicyTest, OneLargeChunkTakesThePlaceOfSeveralSmallOnes) {
  LruPolicy policy(10);
  DrivenCache cache(policy);
  for (uint64_t key : {1, 2, 3}) cache.ask(key, 3);
  cache.ask(4, 7);
  EXPECT_EQ(cache.evicted, (std::vector<uint64_t>{1, 2}));
  EXPECT_EQ(policy.bytes(), 10u);
}

TEST(LruPolicyTest, SameVictimsAsAListSearchedFromTheEnd) {
  const uint64_t seed = 7;
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  LruPolicy policy(500);
  DrivenCache cache(policy);
  std::list<std::pair<uint64_t, uint64_t>> naive;  // newest first: key, bytes
  std::vector<uint64_t> expected;
  uint64_t bytes = 0;
  for (int i = 0; i < 20000; ++i) {
    const uint64_t key = std::min(random() % 200, random() % 200), size = 1 + hashOf(key) % 20;
    cache.ask(key, size);
    const auto found =
        std::find_if(naive.begin(), naive.end(), [&](auto& e) { return e.first == key; });
    if (found != naive.end()) {
      naive.splice(naive.begin(), naive, found);
      continue;
    }
    for (; bytes + size > 500; naive.pop_back()) {
      bytes -= naive.back().second;
      expected.push_back(naive.back().first);
    }
    naive.push_front({key, size});
    bytes += size;
  }
  EXPECT_EQ(cache.evicted, expected);
}

}  // namespace
}  // namespace spolia::store
