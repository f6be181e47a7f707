#include "server/store/eviction/value_policy.h"

#include <random>

#include "tests/server/store/eviction/driven_cache.h"

namespace spolia::store {
namespace {

constexpr uint64_t kValueMiB = 1 << 20;

// Chains: key = chain x 1000 + depth. Stores the chain's first `length` chunks as a request would.
void askForChain(DrivenCache& cache, uint64_t chain, uint32_t length, uint64_t nowMs) {
  for (uint32_t depth = 0; depth < length; ++depth) {
    const uint64_t key = chain * 1000 + depth;
    cache.askFor(key,
                 {.storedBytes = kValueMiB,
                  .recomputeSeconds = 1 + 0.01 * depth,
                  .chained = true,
                  .depth = depth,
                  .parent = depth == 0 ? kNoSlot : cache.slotOf(key - 1)},
                 nowMs);
  }
}

bool everyParentIsStored(const DrivenCache& cache) {
  for (const auto& [key, slot] : cache.stored()) {
    if (key % 1000 != 0 && !cache.has(key - 1)) return false;
  }
  return true;
}

TEST(ValuePolicyTest, ParentsOutliveChildren) {
  const uint64_t seed = 19;
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  ValuePolicy policy(300 * kValueMiB, {});
  DrivenCache cache(policy);
  for (uint64_t i = 0; i < 3000; ++i) {
    askForChain(cache, std::min(random() % 100, random() % 100), 1 + random() % 30, i * 1000);
    ASSERT_TRUE(everyParentIsStored(cache)) << "request " << i;
  }
  EXPECT_GT(cache.evicted.size(), 1000u);
}

TEST(ValuePolicyTest, AParentRemovedByAUserLeavesNothingBehindThatBreaksOthers) {
  const uint64_t seed = 23;
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  ValuePolicy policy(50 * kValueMiB, {});
  DrivenCache cache(policy);
  for (uint64_t i = 0; i < 4000; ++i) {
    askForChain(cache, random() % 20, 1 + random() % 8, i * 100);
    cache.remove(random() % 20 * 1000 + random() % 8);
  }
  EXPECT_LE(policy.bytes(), policy.capacity());
  EXPECT_EQ(policy.count(), cache.stored().size());
}

TEST(ValuePolicyTest, AChainLongerThanTheCacheKeepsItsHead) {
  ValuePolicy policy(10 * kValueMiB, {});
  DrivenCache cache(policy);
  askForChain(cache, 1, 50, 0);
  EXPECT_TRUE(cache.has(1000));
  EXPECT_TRUE(everyParentIsStored(cache));
}

// Documents asked for again and again, then ten times the cache of ones that never are.
TEST(ValuePolicyTest, AScanLeavesTheHotSet) {
  const uint64_t seed = 29;
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  ValuePolicy policy(100 * kValueMiB, {});
  DrivenCache cache(policy);
  uint64_t now = 0, scan = 1000000;
  const auto hot = [&](int requests) {
    int hits = 0;
    for (int i = 0; i < requests; ++i) hits += cache.ask(random() % 80, kValueMiB, now += 100);
    return hits;
  };
  for (int round = 0; round < 10; ++round) {
    hot(1000);
    for (int i = 0; i < 1000; ++i) cache.ask(++scan, kValueMiB, now += 100);
  }
  EXPECT_GT(hot(80), 70);
}

// Halves of the cache would do for either kind; the kind whose recomputation takes ten times as
// long has to have more of it.
TEST(ValuePolicyTest, WhatTakesLongToComputeStays) {
  const uint64_t seed = 31;
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  ValuePolicy policy(100 * kValueMiB, {});
  DrivenCache cache(policy);
  int hits[2] = {};
  for (uint64_t i = 0; i < 20000; ++i) {
    const uint64_t key = random() % 200;
    const bool costly = key % 2 == 1;
    hits[costly] += cache.ask(key, kValueMiB, i * 100, costly ? 10 : 1);
  }
  EXPECT_GT(hits[1], 8500) << "of 10000";
  EXPECT_LT(hits[0], 2500);
}

TEST(ValuePolicyTest, WhatHasExpiredGoesFirst) {
  constexpr uint64_t kDayMs = 86400 * 1000;
  ValuePolicy policy(8 * kValueMiB, {});
  DrivenCache cache(policy);
  for (uint64_t key = 0; key < 8; ++key) {
    cache.askFor(key,
                 {.storedBytes = kValueMiB,
                  .recomputeSeconds = key == 3 ? 1000.0 : 1.0,
                  .expiresAt = key == 3 ? 86400u : 0u},
                 0);
  }
  const Slot expiring = cache.slotOf(3);
  EXPECT_GT(policy.worth(expiring, 1000), policy.worth(cache.slotOf(2), 1000));
  for (uint64_t key = 0; key < 8; ++key) cache.ask(key, kValueMiB, 3 * kDayMs);
  EXPECT_EQ(policy.worth(expiring, 3 * kDayMs), 0);
  EXPECT_EQ(policy.chooseVictim(3 * kDayMs), expiring);
}

TEST(ValuePolicyTest, WithoutItsParentAPrefixChunkIsWorthNothing) {
  ValuePolicy policy(8 * kValueMiB, {});
  ASSERT_TRUE(policy.insert(5, {.keyHash = 1, .storedBytes = kValueMiB, .recomputeSeconds = 1}, 0));
  ASSERT_TRUE(policy.insert(
      6,
      {.keyHash = 2, .storedBytes = kValueMiB, .recomputeSeconds = 1, .chained = true, .depth = 3},
      0));
  EXPECT_GT(policy.worth(5, 0), 0);
  EXPECT_EQ(policy.worth(6, 0), 0);
  EXPECT_FALSE(policy.admit(
      {.keyHash = 3, .storedBytes = kValueMiB, .recomputeSeconds = 1, .chained = true, .depth = 1},
      0));
}

TEST(ValuePolicyTest, NineteenBytesAChunkAndAConstant) {
  const uint32_t chunks = 1 << 20;
  ValuePolicy policy(chunks * kValueMiB, {});
  const auto fill = [&](uint32_t from, uint32_t to) {
    for (uint32_t slot = from; slot < to; ++slot) {
      policy.insert(slot,
                    {.keyHash = hashOf(slot), .storedBytes = kValueMiB, .recomputeSeconds = 1}, 0);
    }
    for (uint32_t i = 0; i < 1000; ++i) {  // ghosts
      const Slot victim = policy.chooseVictim(i);
      policy.remove(victim, hashOf(victim), kValueMiB, Departure::kEvicted);
      policy.insert(victim, {.keyHash = i, .storedBytes = kValueMiB, .recomputeSeconds = 1}, i);
    }
  };
  fill(0, chunks / 2);
  const size_t half = policy.stateBytes();
  fill(chunks / 2, chunks);
  EXPECT_LE(policy.stateBytes() - half, chunks / 2 * 19 + (64 << 10));
}

}  // namespace
}  // namespace spolia::store
