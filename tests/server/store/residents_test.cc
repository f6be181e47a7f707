#include "server/store/residents.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "server/store/eviction/lru_policy.h"

namespace spolia::store {
namespace {

constexpr Footprint kBudget{100'000, 1'000'000};

EntryMeta metaOf(uint64_t n, uint8_t kind = 1) {
  EntryMeta meta;
  meta.key.bytes = sha256(std::as_bytes(std::span(&n, 1)));
  meta.kind = kind;
  return meta;
}

EntryWorth worthOf(const EntryMeta& meta) {
  return {meta.kind == 1, 1};
}

Residents lru() {
  return {std::make_unique<LruPolicy>(kBudget.record), worthOf, kBudget};
}

TEST(Residents, TheOneNotUsedForTheLongestIsNamed) {
  Residents residents = lru();
  for (uint64_t n = 0; n < 5; ++n) residents.add(metaOf(n), 100, n);
  residents.touch(metaOf(0).key, 10);
  EXPECT_EQ(residents.victim(11), Residents::prefixOf(metaOf(1).key));
  residents.postpone(*residents.victim(11), 11);
  EXPECT_EQ(residents.victim(11), Residents::prefixOf(metaOf(2).key));
  residents.remove(metaOf(2), 100, Departure::kEvicted);
  EXPECT_EQ(residents.victim(11), Residents::prefixOf(metaOf(3).key));
  EXPECT_EQ(residents.live().record, 400u);
}

TEST(Residents, WhatMayNotGoIsCountedAndNeverNamed) {
  Residents residents = lru();
  residents.add(metaOf(1, 4), 60'000, 0);
  residents.add(metaOf(2), 30'000, 0);
  EXPECT_FALSE(residents.mayGo(metaOf(1, 4).key));
  EXPECT_TRUE(residents.mayGo(metaOf(2).key));
  EXPECT_TRUE(residents.over({20'000, 0}));
  EXPECT_TRUE(residents.couldFit({40'000, 0}));
  EXPECT_FALSE(residents.couldFit({40'001, 0}));
  residents.remove(metaOf(2), 30'000, Departure::kEvicted);
  EXPECT_EQ(residents.victim(1), std::nullopt);
}

TEST(Residents, WithoutAPolicyNothingGoes) {
  Residents residents(nullptr, worthOf, kBudget);
  residents.add(metaOf(1), 60'000, 0);
  EXPECT_EQ(residents.victim(1), std::nullopt);
  EXPECT_FALSE(residents.couldFit({40'001, 0}));
  residents.remove(metaOf(1), 60'000, Departure::kRemoved);
  EXPECT_EQ(residents.live().record, 0u);
}

// Growth and removal from the table, against a map. Unknown keys are none of its business.
TEST(Residents, KnowsExactlyThoseThatAreThere) {
  constexpr uint32_t kSeed = 7;
  std::mt19937_64 random(kSeed);
  Residents residents(std::make_unique<LruPolicy>(UINT64_MAX / 2), worthOf,
                      Footprint{UINT64_MAX / 2, UINT64_MAX / 2});
  std::map<uint64_t, uint64_t> there;
  uint64_t bytes = 0;
  for (int step = 0; step < 60'000; ++step) {
    const uint64_t n = random() % 5000;
    const auto known = there.find(n);
    if (known == there.end()) {
      const uint64_t size = 1 + random() % 1000;
      residents.add(metaOf(n), size, step);
      there[n] = size;
      bytes += size;
    } else {
      residents.remove(metaOf(n), known->second, Departure::kRemoved);
      bytes -= known->second;
      there.erase(known);
    }
    ASSERT_EQ(residents.live().record, bytes) << "seed " << kSeed << ", step " << step;
    ASSERT_EQ(residents.evictable(), there.size());
  }
  for (uint64_t n = 0; n < 5000; ++n) {
    ASSERT_EQ(residents.mayGo(metaOf(n).key), there.contains(n)) << n;
  }
}

}  // namespace
}  // namespace spolia::store
