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

EntryWorth worthOfResident(const EntryMeta& meta) {
  EntryWorth worth;
  worth.evictable = meta.kind == 1;
  return worth;
}

Residents lru() {
  return Residents(
      {[] { return std::make_unique<LruPolicy>(kBudget.record); }, worthOfResident, kBudget, {}});
}

std::optional<Residents::Prefix> nextOf(Residents& residents) {
  const auto victim = residents.victim(11);
  return victim ? std::optional(victim->prefix) : std::nullopt;
}

bool over(const Residents& residents, uint64_t more) {
  Residents::Claim claim = residents.claim();
  residents.claimAdded(claim, metaOf(999), more);
  return residents.over(claim);
}

TEST(Residents, TheOneNotUsedForTheLongestIsNamed) {
  Residents residents = lru();
  for (uint64_t n = 0; n < 5; ++n) residents.add(metaOf(n), 100, n);
  residents.touch(metaOf(0).key, 10);
  EXPECT_EQ(nextOf(residents), Residents::prefixOf(metaOf(1).key));
  residents.postpone(*residents.victim(11), 11);
  EXPECT_EQ(nextOf(residents), Residents::prefixOf(metaOf(2).key));
  residents.remove(metaOf(2), 100, Departure::kEvicted);
  EXPECT_EQ(nextOf(residents), Residents::prefixOf(metaOf(3).key));
  EXPECT_EQ(residents.live().record, 400u);
}

TEST(Residents, WhatMayNotGoIsCountedAndNeverNamed) {
  Residents residents = lru();
  residents.add(metaOf(1, 4), 60'000, 0);
  residents.add(metaOf(2), 30'000, 0);
  EXPECT_FALSE(residents.mayGo(metaOf(1, 4).key));
  EXPECT_TRUE(residents.mayGo(metaOf(2).key));
  EXPECT_TRUE(over(residents, 20'000));
  EXPECT_FALSE(over(residents, 10'000));
  EXPECT_TRUE(residents.couldFit({40'000, 0}));
  EXPECT_FALSE(residents.couldFit({40'001, 0}));
  residents.remove(metaOf(2), 30'000, Departure::kEvicted);
  EXPECT_EQ(residents.victim(1), std::nullopt);
}

TEST(Residents, WithoutAPolicyNothingGoes) {
  Residents residents({nullptr, worthOfResident, kBudget, {}});
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
  Residents residents({[] { return std::make_unique<LruPolicy>(UINT64_MAX / 2); },
                       worthOfResident,
                       Footprint{UINT64_MAX / 2, UINT64_MAX / 2},
                       {}});
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

// Entries of the owner named by their kind: 10 and 11 have quotas.
EntryWorth ownedBy(const EntryMeta& meta) {
  EntryWorth worth;
  worth.owner = meta.kind;
  return worth;
}

Residents withQuotas(uint64_t first, uint64_t second) {
  return Residents({[] { return std::make_unique<LruPolicy>(kBudget.record); },
                    ownedBy,
                    kBudget,
                    {{10, first}, {11, second}}});
}

// Puts an entry and gives up what has to go for it, telling whose that was.
std::map<uint8_t, int> put(Residents& residents, std::map<Residents::Prefix, EntryMeta>& there,
                           const EntryMeta& meta, uint64_t bytes) {
  std::map<uint8_t, int> gone;
  Residents::Claim claim = residents.claim();
  residents.claimAdded(claim, meta, bytes);
  while (residents.over(claim)) {
    const auto victim = residents.victim(claim, 1);
    if (!victim) break;
    const EntryMeta old = there.extract(victim->prefix).mapped();
    residents.remove(old, bytes, Departure::kEvicted);
    ++gone[old.kind];
  }
  residents.add(meta, bytes, 1);
  there[Residents::prefixOf(meta.key)] = meta;
  return gone;
}

uint64_t usedBy(const Residents& residents, OwnerTag owner) {
  for (const OwnerUsage& usage : residents.usage()) {
    if (usage.owner == owner) return usage.usedBytes;
  }
  return 0;
}

TEST(Residents, WhoIsOverTheQuotaGivesUpTheirOwn) {
  Residents residents = withQuotas(20'000, 30'000);
  std::map<Residents::Prefix, EntryMeta> there;
  for (uint64_t n = 0; n < 10; ++n) put(residents, there, metaOf(n, 1), 1000);
  for (uint64_t n = 100; n < 200; ++n) {
    const auto gone = put(residents, there, metaOf(n, 10), 1000);
    EXPECT_EQ(gone, n < 120 ? (std::map<uint8_t, int>()) : (std::map<uint8_t, int>{{10, 1}}));
  }
  EXPECT_EQ(usedBy(residents, 10), 20'000u);
  EXPECT_EQ(usedBy(residents, 1), 10'000u);
}

TEST(Residents, AFloodOfOthersLeavesTheQuotasAlone) {
  Residents residents = withQuotas(20'000, 30'000);
  std::map<Residents::Prefix, EntryMeta> there;
  for (uint64_t n = 0; n < 20; ++n) put(residents, there, metaOf(n, 10), 1000);
  for (uint64_t n = 100; n < 1000; ++n) {
    for (const auto& [owner, gone] : put(residents, there, metaOf(n, 1 + n % 7), 1000)) {
      EXPECT_LT(owner, 10) << n;
    }
  }
  EXPECT_EQ(usedBy(residents, 10), 20'000u);
  EXPECT_EQ(residents.live().record, 100'000u) << "what quotas leave unused is used";
  // And is given back when it is asked for.
  for (uint64_t n = 2000; n < 2030; ++n) {
    for (const auto& [owner, gone] : put(residents, there, metaOf(n, 11), 1000)) {
      EXPECT_LT(owner, 10) << n;
    }
  }
  EXPECT_EQ(usedBy(residents, 11), 30'000u);
}

TEST(Residents, QuotasBeyondTheBudgetShareItInProportion) {
  Residents residents = withQuotas(100'000, 50'000);
  std::map<Residents::Prefix, EntryMeta> there;
  for (uint64_t n = 0; n < 300; ++n) {
    put(residents, there, metaOf(n, 10), 1000);
    put(residents, there, metaOf(1000 + n, 11), 1000);
    put(residents, there, metaOf(2000 + n, 1), 1000);
  }
  EXPECT_NEAR(usedBy(residents, 10), 66'666, 1000);
  EXPECT_NEAR(usedBy(residents, 11), 33'333, 1000);
  EXPECT_LE(usedBy(residents, 1), 1000u);
}

TEST(Residents, AnEntryLargerThanTheQuotaIsRefusedNamingIt) {
  const Residents residents = withQuotas(20'000, 30'000);
  EXPECT_TRUE(residents.withinQuota(metaOf(1, 10), 20'000).ok());
  const Status refused = residents.withinQuota(metaOf(1, 10), 20'001);
  EXPECT_EQ(refused.code(), ErrorCode::kOutOfSpace);
  EXPECT_NE(refused.message().find("quota is 20000"), std::string::npos) << refused.message();
  EXPECT_TRUE(residents.withinQuota(metaOf(1, 1), 20'001).ok());
}

}  // namespace
}  // namespace spolia::store
