// Expiry and leases of a whole store, its threads included, by a clock set by hand.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "server/store/store.h"
#include "tests/support/filled_store.h"

namespace spolia::store {
namespace {

using test::storeKey;
using test::storePayload;

constexpr uint64_t kNow = 1'800'000'000;  // seconds
constexpr uint64_t kDay = 24 * 3600;

class StoreExpiryTest : public testing::Test {
 protected:
  void SetUp() override {
    filled_.config().clock =
        ClockSources{[this] { return wall_ * 1000; }, [this] { return boot_ * 1000; }, "a-boot"};
    filled_.config().eviction = "lru";
  }
  void pass(uint64_t seconds) {
    wall_ += seconds;
    boot_ += seconds;
  }
  Status put(uint64_t key, size_t bytes, uint64_t expiresAt = 0) {
    PutRequest request;
    request.meta.key = storeKey(key);
    request.meta.expiresAt = expiresAt;
    request.payload = AlignedBuffer::copyOf(storePayload(key, bytes));
    request.policy = PutPolicy::kReplace;
    filled_.store().submitPut(std::move(request), key, queue_);
    return queue_.waitPop().status;
  }
  bool there(uint64_t key) { return filled_.get(key).status.ok(); }
  Result<LeaseGrant> lease(uint64_t first, uint64_t count, uint64_t ttlMs = 100000) {
    std::vector<StoreKey> keys;
    for (uint64_t i = 0; i < count; ++i) keys.push_back(storeKey(first + i));
    auto granted = filled_.store().lease({1, "tenant"}, keys, ttlMs);
    filled_.store().submitSettle(0, queue_);
    EXPECT_TRUE(queue_.waitPop().status.ok());
    return granted;
  }
  // What has expired goes without being asked for; the store's thread looks at it when something
  // that has expired comes.
  bool expiredReach(uint64_t count) {
    put(1000, 10, 1).ignore();  // only wakes it
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (filled_.store().figures().expired < count) {
      if (std::chrono::steady_clock::now() > end) return false;
      there(1000);
    }
    return true;
  }

  std::atomic<uint64_t> wall_ = kNow;
  std::atomic<uint64_t> boot_ = 5000;
  test::FilledStore filled_;
  StoreQueue queue_;
};

TEST_F(StoreExpiryTest, SpaceComesBackWithoutAnybodyAsking) {
  filled_.open();
  for (uint64_t i = 0; i < 20; ++i) {
    ASSERT_TRUE(put(i, 20000, i % 2 == 0 ? kNow + 60 : 0).ok());
  }
  const uint64_t before = filled_.store().figures().usedBytes;
  pass(59);
  EXPECT_TRUE(there(0));
  pass(1);
  EXPECT_FALSE(there(0));
  ASSERT_TRUE(expiredReach(11));
  EXPECT_EQ(filled_.store().figures().entries, 10u);
  EXPECT_LE(filled_.store().figures().usedBytes, before / 2 + 1);
  EXPECT_EQ(filled_.store().figures().evicted, 0u);
}

// Expiry stands in the records, so nothing that has expired comes back with a rebuilt index, nor
// with a wall clock that goes back.
TEST_F(StoreExpiryTest, WhatHasExpiredStaysSo) {
  filled_.open();
  ASSERT_TRUE(put(1, 3000).ok());
  ASSERT_TRUE(put(1, 3000, kNow + 60).ok());  // replaces what never expires
  ASSERT_TRUE(put(2, 3000, kNow + 3 * kDay).ok());
  pass(60);
  ASSERT_TRUE(expiredReach(2));
  filled_.close();
  std::filesystem::remove_all(filled_.config().directory / "index");
  wall_ -= kDay;
  filled_.open();
  EXPECT_FALSE(there(1));
  EXPECT_TRUE(there(2));
}

TEST_F(StoreExpiryTest, AJumpOfTheWallClockByADayExpiresNothing) {
  for (const int64_t jump : {int64_t{kDay}, -int64_t{kDay}}) {
    filled_.open();
    ASSERT_TRUE(put(1, 3000, filled_.store().clock().secondsAfter(2 * 3600)).ok());
    wall_ += static_cast<uint64_t>(jump);
    EXPECT_TRUE(there(1));
    filled_.close();
    filled_.open();
    EXPECT_TRUE(there(1));
    pass(2 * 3600);
    EXPECT_FALSE(there(1));
    wall_ -= static_cast<uint64_t>(jump);
    filled_.close();
  }
}

TEST_F(StoreExpiryTest, ALostClockFileIsNoReasonNotToOpen) {
  filled_.open();
  ASSERT_TRUE(put(1, 3000, kNow + 60).ok());
  filled_.close();
  std::ofstream(filled_.config().directory / "CLOCK") << "nonsense\n";
  filled_.open();
  EXPECT_TRUE(there(1));
}

TEST_F(StoreExpiryTest, WhatIsLeasedNeitherExpiresNorIsEvicted) {
  filled_.open();
  for (uint64_t i = 0; i < 4; ++i) ASSERT_TRUE(put(i, 100000, kNow + 60).ok());
  const auto leased = lease(0, 2, 300000);
  ASSERT_TRUE(leased.ok()) << leased.status().toString();
  EXPECT_EQ(filled_.store().figures().leased, 2u);
  pass(100);
  EXPECT_TRUE(there(0));
  EXPECT_TRUE(there(1));
  EXPECT_FALSE(there(2));
  // Three times what fits.
  for (uint64_t i = 10; i < 110; ++i) ASSERT_TRUE(put(i, 1 << 20).ok()) << i;
  EXPECT_GT(filled_.store().figures().evicted, 50u);
  EXPECT_TRUE(there(0));
  filled_.store().leases().release(leased->id);
  EXPECT_FALSE(there(0));
  ASSERT_TRUE(expiredReach(4));
}

TEST_F(StoreExpiryTest, ALeaseEndsByItselfAndWithTheProcess) {
  filled_.open();
  ASSERT_TRUE(put(1, 3000, kNow + 10).ok());
  ASSERT_TRUE(lease(1, 1, 30000).ok());
  pass(29);
  EXPECT_TRUE(there(1));
  pass(1);
  EXPECT_FALSE(there(1));
  ASSERT_TRUE(put(2, 3000, kNow + 40).ok());
  ASSERT_TRUE(lease(2, 1).ok());
  filled_.close();
  pass(20);
  filled_.open();
  EXPECT_FALSE(there(2));
}

TEST_F(StoreExpiryTest, RemovingWhatIsLeasedIsNotHeldUp) {
  filled_.open();
  ASSERT_TRUE(put(1, 3000).ok());
  ASSERT_TRUE(lease(1, 1).ok());
  EXPECT_TRUE(filled_.remove(1).status.ok());
  EXPECT_FALSE(there(1));
  ASSERT_TRUE(put(1, 500).ok());
  EXPECT_TRUE(there(1));
}

TEST_F(StoreExpiryTest, LeasesLeaveRoomForOthersAndTheCapHolds) {
  filled_.config().leases.totalBytes = UINT64_MAX;
  filled_.open();
  uint64_t stored = 0;
  std::vector<LeaseId> leases;
  while (stored < 200 && put(stored, 700000).ok()) {
    auto one = filled_.store().leases().grant(
        {stored, std::to_string(stored)}, std::vector<LeaseItem>{{storeKey(stored), {704512, 200}}},
        600000);
    if (!one.ok()) break;
    leases.push_back(one->id);
    ++stored;
  }
  // Half of the capacity at most: other entries still come and go.
  EXPECT_LE(stored * 704512, filled_.config().capacityBytes / 2 + 704512);
  for (uint64_t i = 300; i < 340; ++i) EXPECT_TRUE(put(i, 700000).ok()) << i;
  for (uint64_t i = 0; i < stored; ++i) EXPECT_TRUE(there(i)) << i;
  uint64_t onDisk = 0;
  for (const auto& file :
       std::filesystem::recursive_directory_iterator(filled_.config().directory)) {
    if (file.is_regular_file()) onDisk += file.file_size();
  }
  EXPECT_LE(onDisk, filled_.config().capacityBytes);
  for (const LeaseId id : leases) filled_.store().leases().release(id);
  for (uint64_t i = 400; i < 440; ++i) EXPECT_TRUE(put(i, 700000).ok()) << i;
}

}  // namespace
}  // namespace spolia::store
