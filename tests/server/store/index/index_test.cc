// One body of tests for every form of Index.
#include "server/store/index/index.h"

#include <gtest/gtest.h>

#include "server/store/index/rocks_index.h"
#include "tests/support/map_index.h"
#include "tests/support/temporary_directory.h"

namespace spolia::store {
namespace {

StoreKey keyOf(uint8_t first) {
  StoreKey key;
  key.bytes[0] = static_cast<std::byte>(first);
  return key;
}

IndexEntry entryOf(uint8_t key, uint64_t sequence) {
  IndexEntry entry;
  entry.meta.key = keyOf(key);
  entry.meta.kind = 3;
  entry.meta.payloadBytes = 1000 + key;
  entry.meta.expiresAt = 77;
  entry.meta.attributes = toBytes(asBytes("some attributes"));
  entry.address = {SegmentId{2}, Generation{1ull << 40}, 8192, 12288};
  entry.sequence = sequence;
  return entry;
}

class IndexTest : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override { reopen(); }
  void reopen() {
    if (!GetParam()) {
      if (!index_) index_ = std::make_unique<test::MapIndex>();
      return;
    }
    index_.reset();
    auto opened = openRocksIndex({directory_.path() / "index"});
    ASSERT_TRUE(opened.ok()) << opened.status().toString();
    index_ = std::move(*opened);
  }

  test::TemporaryDirectory directory_;
  std::unique_ptr<Index> index_;
};

TEST_P(IndexTest, BatchIsReadBackWhole) {
  IndexBatch batch;
  batch.puts = {entryOf(1, 5), entryOf(200, 6)};
  batch.marks = {{SegmentId{2}, Generation{9}, 4096, 1, 5, 6}};
  ASSERT_TRUE(index_->apply(batch).ok());
  reopen();
  const auto found = index_->find(keyOf(200));
  ASSERT_TRUE(found.ok() && found->has_value());
  EXPECT_EQ((*found)->sequence, 6u);
  EXPECT_EQ((*found)->address, entryOf(200, 6).address);
  EXPECT_EQ((*found)->meta.attributes, entryOf(200, 6).meta.attributes);
  EXPECT_EQ((*found)->meta.payloadBytes, 1200u);
  EXPECT_EQ((*found)->meta.expiresAt, 77u);
  const auto marks = index_->marks();
  ASSERT_TRUE(marks.ok());
  ASSERT_EQ(marks->size(), 1u);
  EXPECT_EQ((*marks)[0].offset, 4096u);
  EXPECT_EQ((*marks)[0].lastSequence, 6u);
}

TEST_P(IndexTest, ManyAreFoundInTheOrderAsked) {
  EXPECT_TRUE(index_->findMany({})->empty());
  IndexBatch batch;
  for (int key = 0; key < 250; key += 2) batch.puts.push_back(entryOf(key, key + 1));
  ASSERT_TRUE(index_->apply(batch).ok());
  reopen();
  std::vector<StoreKey> keys;
  for (int key = 249; key >= 0; --key) keys.push_back(keyOf(key));
  keys.push_back(keyOf(100));
  const auto found = index_->findMany(keys);
  ASSERT_TRUE(found.ok()) << found.status().toString();
  ASSERT_EQ(found->size(), keys.size());
  for (int at = 0; at < 250; ++at) {
    const int key = 249 - at;
    ASSERT_EQ((*found)[at].has_value(), key % 2 == 0) << key;
    if (key % 2 == 0) {
      EXPECT_EQ((*found)[at]->sequence, key + 1u);
      EXPECT_EQ((*found)[at]->meta.key, keyOf(key));
    }
  }
  EXPECT_EQ((*found)[250]->sequence, 101u);
}

TEST_P(IndexTest, AbsentAndRemoved) {
  EXPECT_FALSE(index_->find(keyOf(1))->has_value());
  IndexBatch put, remove;
  put.puts = {entryOf(1, 5)};
  remove.removes = {keyOf(1)};
  ASSERT_TRUE(index_->apply(put).ok());
  ASSERT_TRUE(index_->apply(remove).ok());
  EXPECT_FALSE(index_->find(keyOf(1))->has_value());
}

TEST_P(IndexTest, ScansInKeyOrderFromAKeyUntilToldToStop) {
  IndexBatch batch;
  for (int key : {200, 3, 90, 255}) batch.puts.push_back(entryOf(static_cast<uint8_t>(key), 1));
  batch.marks = {{SegmentId{1}, Generation{1}, 4096, 0, 0, 0}};  // no entry, whatever the order
  ASSERT_TRUE(index_->apply(batch).ok());
  std::vector<StoreKey> seen;
  ASSERT_TRUE(index_
                  ->scan(keyOf(50),
                         [&](const IndexEntry& entry) {
                           seen.push_back(entry.meta.key);
                           return seen.size() < 2;
                         })
                  .ok());
  EXPECT_EQ(seen, (std::vector<StoreKey>{keyOf(90), keyOf(200)}));
}

INSTANTIATE_TEST_SUITE_P(Forms, IndexTest, ::testing::Values(true, false),
                         [](const auto& form) { return form.param ? "Rocks" : "Map"; });

}  // namespace
}  // namespace spolia::store
