#include "server/store/lifetime/expiry_sweep.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/support/filled_store.h"
#include "tests/support/map_index.h"

namespace spolia::store {
namespace {

using test::storeKey;

class ExpirySweepTest : public testing::Test {
 protected:
  void put(uint64_t key, uint64_t expiresAt) {
    IndexBatch batch;
    batch.puts.emplace_back();
    batch.puts.back().meta.key = storeKey(key);
    batch.puts.back().meta.expiresAt = expiresAt;
    ASSERT_TRUE(index_.apply(batch).ok());
    sweep_.note(expiresAt);
  }
  // Until nothing is due; what was found goes.
  size_t pass() {
    size_t found = 0;
    while (sweep_.due()) {
      const auto expired = sweep_.step(index_);
      EXPECT_TRUE(expired.ok());
      EXPECT_LE(expired->size(), ExpirySweep::kStep);
      IndexBatch batch;
      batch.removes = *expired;
      EXPECT_TRUE(index_.apply(batch).ok());
      found += expired->size();
    }
    return found;
  }

  uint64_t now_ = 100;
  test::MapIndex index_;
  ExpirySweep sweep_{[this] { return now_; }};
};

TEST_F(ExpirySweepTest, NothingIsLookedAtWhereNothingExpires) {
  for (uint64_t i = 0; i < 10; ++i) put(i, 0);
  EXPECT_EQ(sweep_.nextDue(), ExpirySweep::kNever);
  EXPECT_FALSE(sweep_.due());
}

TEST_F(ExpirySweepTest, FindsAllThatHasExpiredAndKnowsTheNext) {
  for (uint64_t i = 0; i < 3000; ++i) put(i, i % 3 == 0 ? 0 : i % 3 == 1 ? 150 : 200 + i);
  EXPECT_EQ(sweep_.nextDue(), 150u);
  now_ = 149;
  EXPECT_EQ(pass(), 0u);
  now_ = 150;
  EXPECT_EQ(pass(), 1000u);
  EXPECT_EQ(sweep_.nextDue(), 202u);
  now_ = 5000;
  EXPECT_EQ(pass(), 1000u);
  EXPECT_EQ(sweep_.nextDue(), ExpirySweep::kNever);
}

TEST_F(ExpirySweepTest, WhatComesWhileItRunsIsNotForgotten) {
  for (uint64_t i = 0; i < 2000; ++i) put(i, 150);
  now_ = 150;
  ASSERT_TRUE(sweep_.step(index_).ok());
  EXPECT_EQ(sweep_.nextDue(), 0u) << "in the middle of a pass";
  for (uint64_t i = 2000; i < 3000; ++i) put(i, 160);
  pass();
  EXPECT_EQ(sweep_.nextDue(), 160u);
}

}  // namespace
}  // namespace spolia::store
