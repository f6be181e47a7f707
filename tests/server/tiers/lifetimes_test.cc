// Lifetimes, leases and the paging of ids, by a clock set by hand.
#include "server/tiers/lifetimes.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <set>

#include "server/tiers/tier_set.h"
#include "tests/codec/codec_samples.h"
#include "tests/support/temporary_directory.h"

namespace spolia::tiers {
namespace {

using codec::EntryKind;
using codec::PutMode;
using codec::PutOutcome;

constexpr uint64_t kNow = 1'800'000'000;  // seconds

class LifetimesTest : public testing::Test {
 protected:
  void open(Lifetimes lifetimes = {}) {
    store::StoreConfig config;
    config.directory = directory_.path();
    config.capacityBytes = 64u << 20;
    config.segmentBytes = 4u << 20;
    const auto now = [this] { return now_.load() * 1000; };
    config.clock = store::ClockSources{now, now, "a-boot"};
    auto opened = TierSet::open(config, 0, lifetimes);
    ASSERT_TRUE(opened.ok()) << opened.status().toString();
    tiers_ = std::move(*opened);
  }
  static ChunkId idOf(uint32_t seed) { return codec::chunkIdOf(codec::sampleIdentity(70, seed)); }
  codec::ChunkCompletion put(uint32_t seed, codec::PutOptions options) {
    codec::SampleKv kv(3, {2, 8}, 70, codec::ElementType::kF32);
    kv.fill(1);
    const auto bytes =
        codec::encodeStream(codec::sampleIdentity(70, seed), kv.layers, kv.view(), {});
    EXPECT_TRUE(bytes.ok());
    tiers_->submitStore(ns_, AlignedBuffer::copyOf(*bytes), options, 0, queue_);
    return queue_.waitPop();
  }
  static ChunkId valueId(uint32_t seed) { return {sha256(asBytes(std::to_string(seed)))}; }
  codec::ChunkCompletion putValue(uint32_t seed, EntryKind kind, AskedLifetime lifetime = {}) {
    ValuePut value;
    value.id = valueId(seed);
    value.kind = kind;
    value.bytes = AlignedBuffer::copyOf(asBytes("some text"));
    value.mode = PutMode::kIfAbsent;
    value.lifetime = lifetime;
    tiers_->submitPutValue(ns_, std::move(value), 0, queue_);
    return queue_.waitPop();
  }
  // 0 for absence too.
  uint64_t expiryOf(const ChunkId& id) {
    const auto found = tiers_->lookup(ns_, {&id, 1});
    return found[0].ok() ? found[0]->expiresAt : 0;
  }
  bool there(const ChunkId& id) { return tiers_->lookup(ns_, {&id, 1})[0].ok(); }

  std::atomic<uint64_t> now_ = kNow;
  test::TemporaryDirectory directory_;
  std::unique_ptr<TierSet> tiers_;
  const Namespace ns_ = embeddedNamespace();
  codec::ChunkQueue queue_;
};

TEST_F(LifetimesTest, WhatIsPutForAWhileIsGoneThen) {
  open();
  EXPECT_EQ(put(1, {PutMode::kIfAbsent, 60}).info.expiresAt, kNow + 60);
  ASSERT_TRUE(put(2, PutMode::kIfAbsent).status.ok());
  ASSERT_TRUE(putValue(3, EntryKind::kManifest, {60, 0}).status.ok());
  ASSERT_TRUE(putValue(4, EntryKind::kOpaque, {0, kNow + 61}).status.ok());
  EXPECT_EQ(expiryOf(idOf(1)), kNow + 60);
  EXPECT_EQ(expiryOf(idOf(2)), 0u);
  now_ = kNow + 60;
  EXPECT_FALSE(there(idOf(1)));
  EXPECT_TRUE(there(idOf(2)));
  EXPECT_FALSE(there(valueId(3)));
  EXPECT_TRUE(there(valueId(4)));
  EXPECT_EQ(put(1, {PutMode::kIfAbsent, 60}).outcome, PutOutcome::kStored);
}

TEST_F(LifetimesTest, TheOperatorsRulesHoldForAllButProfiles) {
  open({100, 1000});
  EXPECT_EQ(put(1, PutMode::kIfAbsent).info.expiresAt, kNow + 100);
  EXPECT_EQ(put(2, {PutMode::kIfAbsent, 5}).info.expiresAt, kNow + 5);
  EXPECT_EQ(put(3, {PutMode::kIfAbsent, 5000}).info.expiresAt, kNow + 1000);
  EXPECT_EQ(putValue(4, EntryKind::kOpaque, {0, kNow + 9999}).info.expiresAt, kNow + 1000);
  EXPECT_EQ(putValue(5, EntryKind::kProfile).info.expiresAt, 0u);
  EXPECT_EQ(putValue(6, EntryKind::kProfile, {5000, 0}).info.expiresAt, kNow + 5000);
  open({0, 1000});
  EXPECT_EQ(put(7, PutMode::kIfAbsent).info.expiresAt, kNow + 1000) << "nothing is for ever";
}

TEST_F(LifetimesTest, TheSameBytesAgainProlongAndNeverShorten) {
  open();
  ASSERT_TRUE(put(1, {PutMode::kIfAbsent, 100}).status.ok());
  const auto again = put(1, {PutMode::kIfAbsent, 1000});
  EXPECT_EQ(again.outcome, PutOutcome::kExists);
  EXPECT_EQ(again.info.expiresAt, kNow + 1000);
  EXPECT_EQ(expiryOf(idOf(1)), kNow + 1000);
  const uint64_t written = tiers_->stats().bytesWritten;
  for (const uint64_t ttl : {1100, 10}) {
    EXPECT_EQ(put(1, {PutMode::kIfAbsent, ttl}).info.expiresAt, kNow + 1000);
  }
  EXPECT_EQ(tiers_->stats().bytesWritten, written) << "too little to write it again";
  EXPECT_EQ(put(1, PutMode::kIfAbsent).info.expiresAt, 0u);
  EXPECT_EQ(put(1, {PutMode::kIfAbsent, 1000}).info.expiresAt, 0u);
  now_ = kNow + 5000;
  EXPECT_TRUE(there(idOf(1)));
}

TEST_F(LifetimesTest, ALeaseKeepsWhatWouldExpire) {
  open();
  for (uint32_t i = 0; i < 3; ++i) ASSERT_TRUE(put(i, {PutMode::kIfAbsent, 60}).status.ok());
  const ChunkId ids[] = {idOf(0), idOf(1), idOf(99)};
  const auto lease = tiers_->lease(ns_, 1, ids, 120000);
  ASSERT_TRUE(lease.ok());
  tiers_->submitSettle(7, queue_);
  const auto settled = queue_.waitPop();
  EXPECT_TRUE(settled.status.ok());
  EXPECT_EQ(settled.cookie, 7u);
  EXPECT_EQ(tiers_->stats().leased, 2u);
  now_ = kNow + 119;
  EXPECT_TRUE(there(idOf(0)));
  EXPECT_FALSE(there(idOf(2)));
  tiers_->submitFetch(ns_, idOf(0), {}, 0, queue_);
  EXPECT_TRUE(queue_.waitPop().status.ok());
  tiers_->endLease(lease->id);
  EXPECT_FALSE(there(idOf(0)));
  EXPECT_EQ(tiers_->renewLease(lease->id, 1000).status().code(), ErrorCode::kNotFound);
}

TEST_F(LifetimesTest, IdsComePageByPageAndOfOneNamespaceOnly) {
  open();
  Namespace other{"other", sha256(asBytes("other"))};
  std::set<ChunkId> expected;
  for (uint32_t i = 0; i < 30; ++i) {
    ASSERT_TRUE(putValue(i, i % 2 == 0 ? EntryKind::kManifest : EntryKind::kOpaque).status.ok());
    expected.insert(valueId(i));
  }
  const auto all = [&](const Namespace& ns, std::optional<EntryKind> kind) {
    std::set<ChunkId> seen;
    std::optional<StoreKey> from = StoreKey{};
    while (from) {
      auto page = tiers_->ids(ns, kind, *from, 7);
      EXPECT_TRUE(page.ok());
      EXPECT_LE(page->ids.size(), 7u);
      seen.insert(page->ids.begin(), page->ids.end());
      from = page->next;
    }
    return seen;
  };
  EXPECT_EQ(all(ns_, std::nullopt), expected);
  EXPECT_EQ(all(ns_, EntryKind::kManifest).size(), 15u);
  EXPECT_TRUE(all(other, std::nullopt).empty());
}

}  // namespace
}  // namespace spolia::tiers
