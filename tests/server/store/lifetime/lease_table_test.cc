#include "server/store/lifetime/lease_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "tests/support/filled_store.h"

namespace spolia::store {
namespace {

using test::storeKey;

class LeaseTableTest : public testing::Test {
 protected:
  static LeaseLimits limits() {
    LeaseLimits limits;
    limits.longestSeconds = 60;
    limits.holderEntries = 10;
    limits.groupEntries = 15;
    limits.groupBytes = 1000;
    limits.totalEntries = 20;
    limits.totalBytes = 1500;
    return limits;
  }
  Result<LeaseGrant> grant(uint64_t holder, const std::string& group, uint64_t first,
                           uint64_t count, uint64_t bytes = 10, uint64_t ttlMs = 1000) {
    std::vector<LeaseItem> items;
    for (uint64_t i = 0; i < count; ++i) items.push_back({storeKey(first + i), {bytes, 1}});
    return table_.grant({holder, group}, items, ttlMs);
  }

  uint64_t now_ = 5000;
  LeaseTable table_{limits(), [this] { return now_; }};
};

TEST_F(LeaseTableTest, HoldsUntilReleasedOrOver) {
  const auto a = grant(1, "x", 0, 2);
  const auto b = grant(2, "x", 1, 2, 10, 5000);
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_EQ(table_.entries(), 3u);
  EXPECT_EQ(table_.held().record, 30u);
  table_.release(b->id);
  EXPECT_TRUE(table_.holds(storeKey(1)));
  EXPECT_FALSE(table_.holds(storeKey(2)));
  now_ += 999;
  EXPECT_TRUE(table_.holds(storeKey(0)));
  now_ += 1;
  EXPECT_FALSE(table_.holds(storeKey(0)));
  EXPECT_EQ(table_.held().record, 0u);
  table_.release(a->id);  // over already
  EXPECT_EQ(table_.renew(a->id, 1000).status().code(), ErrorCode::kNotFound);
}

TEST_F(LeaseTableTest, LastsNoLongerThanTheLimitAndCanBeRenewed) {
  const auto lease = grant(1, "x", 0, 1, 10, UINT64_MAX);
  ASSERT_TRUE(lease.ok());
  EXPECT_EQ(lease->lengthMs, 60000u);
  now_ += 59999;
  EXPECT_EQ(*table_.renew(lease->id, 100), 100u);
  now_ += 99;
  EXPECT_TRUE(table_.holds(storeKey(0)));
  now_ += 1;
  EXPECT_FALSE(table_.holds(storeKey(0)));
}

TEST_F(LeaseTableTest, EachLimitIsNamedAndNothingIsHeldBeyondIt) {
  EXPECT_NE(grant(1, "x", 0, 10).status().message().find("this connection"), std::string::npos);
  ASSERT_TRUE(grant(1, "x", 0, 9).ok());  // and one for the lease
  EXPECT_EQ(grant(1, "x", 50, 0).status().code(), ErrorCode::kResourceExhausted);
  EXPECT_NE(grant(2, "x", 50, 5).status().message().find("this tenant"), std::string::npos);
  EXPECT_NE(grant(2, "x", 50, 1, 911).status().message().find("bytes leased by this tenant"),
            std::string::npos);
  ASSERT_TRUE(grant(3, "y", 60, 1, 1000).ok());
  EXPECT_NE(grant(4, "z", 70, 1, 500).status().message().find("bytes leased by all"),
            std::string::npos);
  EXPECT_NE(grant(4, "z", 70, 8).status().message().find("entries leased by all"),
            std::string::npos);
  EXPECT_FALSE(table_.holds(storeKey(50)));
  EXPECT_FALSE(table_.holds(storeKey(70)));
  now_ += 1000;
  EXPECT_TRUE(grant(1, "x", 0, 9).ok()) << "what is over does not count";
}

TEST_F(LeaseTableTest, AnEntryNamedTwiceCountsOnce) {
  const std::vector<LeaseItem> items(100, {storeKey(1), {600, 1}});
  const auto lease = table_.grant({1, "x"}, items, 1000);
  ASSERT_TRUE(lease.ok()) << lease.status().toString();
  EXPECT_EQ(table_.held().record, 600u);
  table_.release(lease->id);
  EXPECT_FALSE(table_.holds(storeKey(1)));
}

// Against a model that knows every lease.
TEST_F(LeaseTableTest, AgreesWithAModel) {
  struct Known {
    LeaseId id;
    uint64_t deadline;
    std::vector<uint64_t> keys;
  };
  std::mt19937_64 random(7);
  std::vector<Known> model;
  for (int step = 0; step < 20000; ++step) {
    now_ += random() % 50;
    std::erase_if(model, [&](const Known& lease) { return lease.deadline <= now_; });
    const uint64_t choice = random() % 4;
    if (choice < 2) {
      const uint64_t first = random() % 12, count = random() % 4, ttl = random() % 400;
      const auto lease = grant(random() % 3, random() % 2 == 0 ? "x" : "y", first, count, 10, ttl);
      if (!lease.ok()) continue;
      Known known{lease->id, now_ + ttl, {}};
      for (uint64_t i = 0; i < count; ++i) known.keys.push_back(first + i);
      if (ttl > 0) model.push_back(std::move(known));
    } else if (!model.empty()) {
      Known& lease = model[random() % model.size()];
      if (choice == 2) {
        table_.release(lease.id);
        lease.deadline = 0;
      } else {
        lease.deadline = now_ + 100;
        EXPECT_TRUE(table_.renew(lease.id, 100).ok());
      }
    }
    for (uint64_t key = 0; key < 16; ++key) {
      const bool held = std::ranges::any_of(model, [&](const Known& lease) {
        return lease.deadline > now_ && std::ranges::count(lease.keys, key) > 0;
      });
      ASSERT_EQ(table_.holds(storeKey(key)), held) << "step " << step << ", key " << key;
    }
  }
}

}  // namespace
}  // namespace spolia::store
