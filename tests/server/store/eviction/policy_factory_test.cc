// What holds for every policy.
#include "server/store/eviction/policy_factory.h"

#include <random>

#include "tests/server/store/eviction/driven_cache.h"

namespace spolia::store {
namespace {

class AnyPolicyTest : public ::testing::TestWithParam<std::string_view> {
 protected:
  std::unique_ptr<EvictionPolicy> make(uint64_t capacity) {
    auto made = makePolicy(GetParam(), capacity);
    EXPECT_TRUE(made.ok());
    return std::move(*made);
  }
};

TEST_P(AnyPolicyTest, HasItsName) {
  EXPECT_EQ(make(1)->name(), GetParam());
}

TEST_P(AnyPolicyTest, CountsBytesAsTheOwnerDoesAndNeverExceedsTheCapacity) {
  const uint64_t seed = 37;
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  const auto policy = make(10000);
  DrivenCache cache(*policy);
  const auto sizeOf = [](uint64_t key) { return 1 + hashOf(key) % 400; };
  for (uint64_t i = 0; i < 20000; ++i) {
    cache.ask(random() % 300, sizeOf(random() % 300), i * 50);
    if (i % 7 == 0) cache.remove(random() % 300);
    ASSERT_LE(policy->bytes(), policy->capacity());
    ASSERT_EQ(policy->count(), cache.stored().size());
  }
  while (policy->count() > 0) {
    const Slot victim = policy->chooseVictim(1000000);
    ASSERT_TRUE(policy->contains(victim));
    policy->remove(victim, 0, cache.bytesAt(victim), Departure::kEvicted);
  }
  EXPECT_EQ(policy->bytes(), 0u);
  EXPECT_EQ(policy->chooseVictim(1000000), kNoSlot);
}

TEST_P(AnyPolicyTest, UnknownSlotsAreIgnored) {
  const auto policy = make(10);
  policy->touch(3, 1, 0);
  policy->remove(3, 1, 4, Departure::kRemoved);
  policy->remove(kNoSlot, 1, 4, Departure::kEvicted);
  policy->postpone(kNoSlot, 0);
  ASSERT_TRUE(policy->insert(1, {.keyHash = 1, .storedBytes = 4, .recomputeSeconds = 1}, 0));
  policy->remove(1, 1, 4, Departure::kRemoved);
  policy->remove(1, 1, 4, Departure::kRemoved);
  policy->touch(1, 1, 0);
  EXPECT_EQ(policy->bytes(), 0u);
  EXPECT_EQ(policy->count(), 0u);
}

TEST_P(AnyPolicyTest, RefusesWhatCannotBeStored) {
  const auto policy = make(10);
  EXPECT_FALSE(policy->admit({.keyHash = 1, .storedBytes = 11}, 0));
  EXPECT_FALSE(policy->insert(1, {.keyHash = 1, .storedBytes = 11}, 0));
  EXPECT_FALSE(policy->insert(1, {.keyHash = 1, .storedBytes = 0}, 0));
  EXPECT_FALSE(policy->insert(kNoSlot, {.keyHash = 1, .storedBytes = 1}, 0));
  ASSERT_TRUE(policy->insert(1, {.keyHash = 1, .storedBytes = 6}, 0));
  EXPECT_FALSE(policy->insert(1, {.keyHash = 2, .storedBytes = 1}, 0)) << "the slot is taken";
  EXPECT_FALSE(policy->insert(2, {.keyHash = 2, .storedBytes = 5}, 0)) << "no room";
  EXPECT_EQ(policy->bytes(), 6u);
  EXPECT_FALSE(makeRoom(*policy, 11, 0, [](Slot) { return Evicted(); }));
  EXPECT_EQ(policy->count(), 1u);
}

TEST_P(AnyPolicyTest, APostponedVictimIsNotNamedAgainAtOnce) {
  const auto policy = make(100);
  DrivenCache cache(*policy);
  for (uint64_t key = 0; key < 100; ++key) cache.ask(key, 1, key * 1000);
  const Slot leased = policy->chooseVictim(200000);
  policy->postpone(leased, 200000);
  for (int i = 0; i < 10; ++i) {
    const Slot victim = policy->chooseVictim(200000);
    EXPECT_NE(victim, leased);
    policy->remove(victim, 0, 1, Departure::kEvicted);
  }
  EXPECT_TRUE(policy->contains(leased));
}

INSTANTIATE_TEST_SUITE_P(All, AnyPolicyTest, ::testing::ValuesIn(policyNames()));

TEST(PolicyFactoryTest, AnUnknownNameIsNamedWithThoseThatExist) {
  const auto made = makePolicy("fifo", 10);
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.status().code(), ErrorCode::kInvalidArgument);
  EXPECT_NE(made.status().message().find("'fifo'"), std::string::npos);
  EXPECT_NE(made.status().message().find("s3-fifo"), std::string::npos);
}

}  // namespace
}  // namespace spolia::store
