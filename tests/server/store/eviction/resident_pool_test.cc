#include "server/store/eviction/resident_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "server/store/eviction/lru_policy.h"
#include "server/store/eviction/value_policy.h"

namespace spolia::store {
namespace {

using Prefix = ResidentPool::Prefix;

constexpr uint64_t kPoolMiB = 1 << 20;
constexpr uint64_t kPlenty = 1 << 20;

ResidentPool byValue(uint64_t chunks) {
  return ResidentPool(std::make_unique<ValuePolicy>(chunks * kPoolMiB, ValueParams()));
}

// Uniform bits, as keys have.
Prefix prefixOf(uint64_t n) {
  StoreKey key;
  key.bytes = sha256(std::as_bytes(std::span(&n, 1)));
  return ResidentPool::prefixOf(key);
}

// Chunk `depth` of a chain.
Prefix link(uint64_t chain, uint32_t depth) {
  return prefixOf(chain * 1000 + depth);
}

bool add(ResidentPool& pool, uint64_t chain, uint32_t depth, uint64_t nowMs = 0) {
  ChunkTraits traits;
  traits.storedBytes = kPoolMiB;
  traits.recomputeSeconds = 1;
  traits.chained = true;
  traits.depth = depth;
  const auto parent = depth == 0 ? std::nullopt : std::optional(link(chain, depth - 1));
  return pool.add(link(chain, depth), parent, traits, nowMs);
}

Prefix evictOne(ResidentPool& pool, uint64_t nowMs) {
  const std::optional<Prefix> victim = pool.victim(nowMs);
  EXPECT_TRUE(victim);
  EXPECT_TRUE(pool.remove(*victim, kPoolMiB, Departure::kEvicted));
  return *victim;
}

// As a restart reads them, or as cleaning leaves them.
TEST(ResidentPool, InWhateverOrderTheyComeASuffixGoesBeforeItsPrefix) {
  const uint64_t seed = 41;
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  constexpr uint64_t kChains = 40;
  constexpr uint32_t kLength = 12;
  for (int round = 0; round < 20; ++round) {
    ResidentPool pool = byValue(kPlenty);
    std::vector<std::pair<uint64_t, uint32_t>> all;
    for (uint64_t chain = 0; chain < kChains; ++chain) {
      for (uint32_t depth = 0; depth < kLength; ++depth) all.push_back({chain, depth});
    }
    std::ranges::shuffle(all, random);
    std::map<Prefix, Prefix> parentOf;
    std::set<Prefix> there;
    for (const auto& [chain, depth] : all) {
      ASSERT_TRUE(add(pool, chain, depth));
      there.insert(link(chain, depth));
      if (depth > 0) parentOf[link(chain, depth)] = link(chain, depth - 1);
    }
    for (uint64_t now = 1000; !there.empty(); now += 1000) {
      const Prefix gone = evictOne(pool, now);
      ASSERT_EQ(there.erase(gone), 1u);
      for (const Prefix left : there) {
        const auto parent = parentOf.find(left);
        ASSERT_TRUE(parent == parentOf.end() || there.contains(parent->second))
            << "round " << round;
      }
    }
    EXPECT_EQ(pool.count(), 0u);
  }
}

TEST(ResidentPool, WhatHangsOnSomethingRemovedGoesFirstAndAllOfIt) {
  ResidentPool pool = byValue(kPlenty);
  for (uint32_t depth = 0; depth < 8; ++depth) add(pool, 1, depth);
  for (uint64_t other = 2; other < 100; ++other) add(pool, other, 0);
  ASSERT_TRUE(pool.remove(link(1, 2), kPoolMiB, Departure::kRemoved));
  // The policy looks at a few random ones at a time.
  std::set<Prefix> gone;
  for (int i = 0; i < 40; ++i) gone.insert(evictOne(pool, 1000));
  for (uint32_t depth = 3; depth < 8; ++depth) EXPECT_TRUE(gone.contains(link(1, depth))) << depth;
  EXPECT_TRUE(pool.has(link(1, 0)) || gone.contains(link(1, 1)));
}

// A finer stream takes a coarser one's place.
TEST(ResidentPool, AParentThatIsReplacedKeepsItsChildren) {
  ResidentPool pool = byValue(kPlenty);
  for (uint32_t depth = 0; depth < 3; ++depth) add(pool, 1, depth);
  ASSERT_TRUE(pool.remove(link(1, 0), kPoolMiB, Departure::kRemoved));
  EXPECT_FALSE(pool.has(link(1, 0)));
  ASSERT_TRUE(add(pool, 1, 0));
  EXPECT_EQ(evictOne(pool, 1000), link(1, 2));
  EXPECT_EQ(evictOne(pool, 1000), link(1, 1));
  EXPECT_EQ(evictOne(pool, 1000), link(1, 0));
}

TEST(ResidentPool, NothingIsLeftOfParentsThatNeverCame) {
  ResidentPool pool = byValue(kPlenty);
  for (int round = 0; round < 3; ++round) {
    for (uint64_t chain = 0; chain < 1000; ++chain) add(pool, chain, 5);
    EXPECT_EQ(pool.count(), 1000u);
    for (uint64_t chain = 0; chain < 1000; ++chain) {
      EXPECT_FALSE(pool.has(link(chain, 4)));
      ASSERT_TRUE(pool.remove(link(chain, 5), kPoolMiB, Departure::kRemoved));
    }
  }
  EXPECT_EQ(pool.slots(), 0u);
}

TEST(ResidentPool, APolicyThatKnowsNoParentsIsToldOfNone) {
  ResidentPool pool(std::make_unique<LruPolicy>(kPlenty * kPoolMiB));
  ASSERT_TRUE(add(pool, 1, 1, 1));
  ASSERT_TRUE(add(pool, 1, 0, 2));
  EXPECT_EQ(pool.slots(), 2u);
  EXPECT_EQ(evictOne(pool, 3), link(1, 1));
}

// Prefixes may be shared by chance, also by a chunk and its parent.
TEST(ResidentPool, AChunkThatSeemsItsOwnParentCanGo) {
  ResidentPool pool = byValue(kPlenty);
  ChunkTraits traits;
  traits.storedBytes = kPoolMiB;
  traits.chained = true;
  traits.depth = 1;
  ASSERT_TRUE(pool.add(7, 7, traits, 0));
  EXPECT_EQ(evictOne(pool, 1), 7u);
  EXPECT_EQ(pool.slots(), 0u);
}

TEST(ResidentPool, WhatWouldGoNextIsNotWorthMoving) {
  ResidentPool pool = byValue(64);
  for (uint64_t n = 0; n < 64; ++n) add(pool, n, 0);
  uint64_t now = 1000, next = 64;
  // Half of them is asked for again and again, the others make room for new ones.
  for (int round = 0; round < 4000; ++round) {
    now += 1000;
    pool.touch(link(round % 32, 0), now);
    evictOne(pool, now);
    add(pool, next++, 0, now);
  }
  uint64_t hot = 0, cold = 0;
  for (uint64_t n = 0; n < 32; ++n) hot += pool.has(link(n, 0)) && pool.nextToGo(link(n, 0), now);
  now += 1000'000;
  for (uint64_t n = 64; n < next; ++n)
    cold += pool.has(link(n, 0)) && pool.nextToGo(link(n, 0), now);
  EXPECT_LE(hot, 2u);
  EXPECT_GE(cold, 8u);
}

}  // namespace
}  // namespace spolia::store
