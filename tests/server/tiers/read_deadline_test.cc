// Deadlines of reads through the tiers, on a disk that does not answer until it is told to.
#include <gtest/gtest.h>

#include "server/tiers/tier_set.h"
#include "tests/support/held_ring.h"
#include "tests/support/temporary_directory.h"

namespace spolia::tiers {
namespace {

using std::chrono::milliseconds;

class ReadDeadlineTest : public ::testing::Test {
 protected:
  ReadDeadlineTest() {
    store::StoreConfig config;
    config.directory = directory_.path() / "store";
    config.capacityBytes = 64u << 20;
    config.segmentBytes = 4u << 20;
    config.ringFactory = &disk_;
    auto opened = TierSet::open(config, 0);
    EXPECT_TRUE(opened.ok()) << opened.status().toString();
    tiers_ = std::move(*opened);
    for (uint32_t i = 0; i < 4; ++i) put(i);
  }
  static ChunkId idOf(uint32_t seed) { return {sha256(asBytes(std::to_string(seed)))}; }
  static std::string valueOf(uint32_t seed) {
    return std::string(300'000, static_cast<char>('a' + seed));
  }
  void put(uint32_t seed) {
    ValuePut value;
    value.id = idOf(seed);
    value.kind = codec::EntryKind::kOpaque;
    value.bytes = AlignedBuffer::copyOf(asBytes(valueOf(seed)));
    tiers_->submitPutValue(ns_, std::move(value), 0, queue_);
    ASSERT_TRUE(queue_.waitPop().status.ok());
  }
  void get(uint32_t seed, uint64_t cookie, Deadline deadline = kNoDeadline) {
    tiers_->submitGetValue(ns_, idOf(seed), cookie, queue_, deadline);
  }
  static Deadline in(int ms) { return std::chrono::steady_clock::now() + milliseconds(ms); }
  void expectValue(uint32_t seed, uint64_t cookie) {
    const codec::ChunkCompletion done = queue_.waitPop();
    EXPECT_EQ(done.cookie, cookie);
    ASSERT_TRUE(done.status.ok()) << done.status.toString();
    EXPECT_EQ(asText(done.bytes.span()), valueOf(seed));
  }
  void expectLate(uint64_t cookie) {
    const codec::ChunkCompletion done = queue_.waitPop();
    EXPECT_EQ(done.cookie, cookie);
    EXPECT_EQ(done.status.code(), ErrorCode::kDeadlineExceeded) << done.status.toString();
    EXPECT_TRUE(done.bytes.empty());
  }

  test::TemporaryDirectory directory_;
  test::HeldRingFactory disk_;
  Namespace ns_ = embeddedNamespace();
  codec::ChunkQueue queue_;
  std::unique_ptr<TierSet> tiers_;
};

// The disk never answers, the caller is answered; the memory is the disk's until it does.
TEST_F(ReadDeadlineTest, AnswersComeByTheDeadlineWhateverTheDiskDoes) {
  disk_.hold(false);
  for (uint32_t i = 0; i < 4; ++i) get(i, i, in(20));
  std::vector<bool> late(4);
  for (int i = 0; i < 4; ++i) {
    const codec::ChunkCompletion done = queue_.waitPop();
    EXPECT_EQ(done.status.code(), ErrorCode::kDeadlineExceeded) << done.status.toString();
    EXPECT_FALSE(late[done.cookie]) << "answered twice";
    late[done.cookie] = true;
  }
  disk_.release();
  get(1, 9);
  expectValue(1, 9);
  EXPECT_LE(tiers_->stats().lateReads, 4u);
  EXPECT_EQ(queue_.drain().size(), 0u);
}

TEST_F(ReadDeadlineTest, WhatComesInTimeIsNotLate) {
  for (uint32_t i = 0; i < 4; ++i) {
    get(i, i, in(60'000));
    expectValue(i, i);
  }
  EXPECT_EQ(tiers_->stats().lateReads, 0u);
  get(1, 7, std::chrono::steady_clock::now());
  expectLate(7);
}

// Readers of the same bytes share a read; the one with the deadline takes nothing from the others.
TEST_F(ReadDeadlineTest, WhoSharesALateReadIsServedAllTheSame) {
  disk_.hold(true);
  get(2, 1, in(30));
  get(2, 2);
  get(2, 3, in(120'000));
  expectLate(1);
  disk_.release();
  std::vector<uint64_t> cookies;
  for (int i = 0; i < 2; ++i) {
    const codec::ChunkCompletion done = queue_.waitPop();
    ASSERT_TRUE(done.status.ok()) << done.status.toString();
    EXPECT_EQ(asText(done.bytes.span()), valueOf(2));
    cookies.push_back(done.cookie);
  }
  EXPECT_NE(cookies[0], cookies[1]);
  EXPECT_GT(disk_.cancelled(), 0u);
}

// And one with a deadline that joins a read of one without.
TEST_F(ReadDeadlineTest, WhoJoinsKeepsItsOwnDeadline) {
  disk_.hold(false);
  get(3, 1);
  get(3, 2, in(20));
  expectLate(2);
  disk_.release();
  expectValue(3, 1);
  EXPECT_EQ(tiers_->stats().lateReads, 0u) << "the shared read was given up";
}

// With reads that only giving up ends.
TEST_F(ReadDeadlineTest, ClosingDoesNotWaitForWhatWasGivenUp) {
  disk_.hold(true);
  for (uint32_t i = 0; i < 4; ++i) get(i, i, in(20));
  tiers_.reset();
  EXPECT_EQ(queue_.drain().size(), 4u);
}

}  // namespace
}  // namespace spolia::tiers
