// Reads that the disk answers late, on a simulated disk with a clock of its own: what has a
// deadline is answered by it, what has none is right, and no late read meets memory or a segment
// that is somebody else's by then.
//
// SPOLIA_RECYCLE_OVERWRITES=n: so many overwrites (a million takes a minute).
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "tests/support/asked_number.h"
#include "tests/support/store_simulation.h"

namespace spolia::store {
namespace {

using std::chrono::milliseconds;

struct Asked {
  uint64_t key = 0;
  uint64_t leastVersion = 0;  // acknowledged when it was asked for
  Deadline at;
  Deadline deadline = kNoDeadline;
};

struct Answered {
  Asked asked;
  ErrorCode code = ErrorCode::kOk;
  std::chrono::nanoseconds took{0};
};

class DelayedReads : public ::testing::Test {
 protected:
  void open(uint64_t segmentBytes, uint32_t segments, uint64_t maxValue) {
    maxValue_ = maxValue;
    Recovery recovery(ring_, index_);
    ASSERT_TRUE(recovery.openSegments().ok());
    ASSERT_TRUE(recovery.replay().ok());
    EngineConfig config;
    config.log = {segmentBytes, segments, 1, true};
    config.clock = [] { return uint64_t{1}; };
    config.monotonic = [this] { return disk_.now(); };
    engine_ =
        std::make_unique<StoreEngine>(std::move(config), ring_, index_, recovery.finish().value());
  }
  void put(uint64_t key) {
    StoreOp op = operation(StoreOp::Kind::kPut, key);
    op.put.meta.key = op.key;
    op.put.policy = PutPolicy::kReplace;
    const uint64_t version = ++made_[key];
    op.put.payload = AlignedBuffer::copyOf(test::simulationValue(key, version, maxValue_));
    puts_[op.cookie] = {key, version};
    engine_->accept(std::move(op));
  }
  void get(uint64_t key, Deadline deadline = kNoDeadline) {
    StoreOp op = operation(StoreOp::Kind::kGet, key);
    op.length = UINT64_MAX;
    op.deadline = deadline;
    gets_[op.cookie] = {key, acknowledged_[key], disk_.now(), deadline};
    engine_->accept(std::move(op));
  }
  void pump(Ring::Wait mode = Ring::Wait::kPoll) {
    engine_->pump(mode);
    for (StoreCompletion& done : queue_.drain()) take(done);
  }
  void finish() {
    while (!engine_->idle()) pump();
    EXPECT_TRUE(puts_.empty() && gets_.empty()) << "an operation was never answered";
  }
  Deadline in(int ms) const { return disk_.now() + milliseconds(ms); }

  test::SimDisk disk_{5};
  test::SimRing ring_{disk_};
  test::MapIndex index_;
  std::unique_ptr<StoreEngine> engine_;
  StoreQueue queue_;
  std::map<uint64_t, uint64_t> made_, acknowledged_;  // versions by key
  std::vector<Answered> answered_;                    // gets

 private:
  struct Put {
    uint64_t key, version;
  };

  StoreOp operation(StoreOp::Kind kind, uint64_t key) {
    StoreOp op;
    op.kind = kind;
    op.key = test::simulationKey(key);
    op.cookie = next_++;
    op.queue = &queue_;
    return op;
  }
  void take(const StoreCompletion& done) {
    if (const auto put = puts_.extract(done.cookie); !put.empty()) {
      ASSERT_TRUE(done.status.ok()) << done.status.toString();
      acknowledged_[put.mapped().key] = put.mapped().version;
      return;
    }
    const auto get = gets_.extract(done.cookie);
    ASSERT_FALSE(get.empty()) << "answered twice";
    const Asked& asked = get.mapped();
    answered_.push_back({asked, done.status.code(), disk_.now() - asked.at});
    if (done.status.ok()) expectValue(asked, done.range());
    if (done.status.code() == ErrorCode::kDeadlineExceeded) {
      EXPECT_GE(disk_.now(), asked.deadline);
      EXPECT_TRUE(done.range().empty());
    }
  }
  // One of the key's values, whole, and none that had been replaced when it was asked for.
  void expectValue(const Asked& asked, ByteSpan bytes) {
    uint64_t version = 0;
    ASSERT_GE(bytes.size(), 16u);
    std::memcpy(&version, bytes.data() + 8, 8);
    EXPECT_GE(version, asked.leastVersion);
    ASSERT_LE(version, made_[asked.key]);
    EXPECT_TRUE(std::ranges::equal(test::simulationValue(asked.key, version, maxValue_), bytes));
  }

  uint64_t maxValue_ = 0;
  uint64_t next_ = 1;
  std::map<uint64_t, Put> puts_;    // by cookie: unanswered
  std::map<uint64_t, Asked> gets_;  // likewise
};

// One read in a hundred takes half a second, and a budget of 50 ms: who has one is answered within
// 60 ms, and who meets no slow read does not notice.
TEST_F(DelayedReads, AGreyDiskCostsABudgetAndNoMore) {
  constexpr uint64_t kKeys = 200;
  open(1 << 20, 16, 40000);
  for (uint64_t key = 0; key < kKeys; ++key) put(key);
  finish();
  disk_.setFaults({.slowRead = 0.01, .slowReadTime = milliseconds(500)});
  constexpr uint64_t kReads = 20'000;
  for (uint64_t i = 0; i < kReads; ++i) {
    get(i * 7 % kKeys, i % 10 == 0 ? kNoDeadline : in(50));
    pump();
  }
  finish();
  ASSERT_EQ(answered_.size(), kReads);
  uint64_t late = 0, slow = 0;
  for (const Answered& answer : answered_) {
    if (answer.asked.deadline == kNoDeadline) {
      EXPECT_EQ(answer.code, ErrorCode::kOk);
      slow += answer.took > milliseconds(400) ? 1 : 0;
      continue;
    }
    EXPECT_LE(answer.took, milliseconds(60));
    if (answer.code == ErrorCode::kDeadlineExceeded) {
      ++late;
      EXPECT_GE(answer.took, milliseconds(50));
    } else {
      EXPECT_EQ(answer.code, ErrorCode::kOk);
      EXPECT_LE(answer.took, milliseconds(5));
    }
  }
  EXPECT_EQ(engine_->figures().lateReads, late);
  EXPECT_GT(late, kReads / 400);
  EXPECT_LT(late, kReads / 25);
  EXPECT_GT(slow, 0u);
}

// The I/O thread sleeps on the ring: the deadline must wake it, not the disk.
TEST_F(DelayedReads, AWaitingEngineWakesForADeadline) {
  open(1 << 20, 4, 40000);
  put(1);
  finish();
  disk_.setFaults({.slowRead = 1, .slowReadTime = milliseconds(500)});
  get(1, in(50));
  pump(Ring::Wait::kBlock);
  ASSERT_EQ(answered_.size(), 1u);
  EXPECT_EQ(answered_[0].code, ErrorCode::kDeadlineExceeded);
  EXPECT_LE(answered_[0].took, milliseconds(51));
  EXPECT_FALSE(engine_->idle()) << "the disk has not let go of the memory";
  const Deadline before = disk_.now();
  while (!engine_->idle()) pump(Ring::Wait::kBlock);
  EXPECT_LE(disk_.now() - before, milliseconds(451));
}

TEST_F(DelayedReads, WhatIsAskedForTooLateIsNotBegun) {
  open(1 << 20, 4, 40000);
  put(1);
  finish();
  const uint64_t before = engine_->figures().bytesRead;
  get(1, disk_.now());
  EXPECT_TRUE(engine_->idle());
  pump();
  ASSERT_EQ(answered_.size(), 1u);
  EXPECT_EQ(answered_[0].code, ErrorCode::kDeadlineExceeded);
  EXPECT_EQ(engine_->figures().bytesRead, before);
}

// One attempt in a hundred fails: it is made once more, and what fails twice is told as a miss of
// its own kind, with no bytes.
TEST_F(DelayedReads, AReadThatFailsIsTriedOnceMore) {
  constexpr uint64_t kKeys = 50, kReads = 20'000;
  open(1 << 20, 8, 40000);
  for (uint64_t key = 0; key < kKeys; ++key) put(key);
  finish();
  uint64_t before = engine_->figures().bytesRead;
  for (uint64_t key = 0; key < kKeys; ++key) get(key);
  finish();
  const uint64_t aRound = engine_->figures().bytesRead - before;
  answered_.clear();
  disk_.setFaults({.readError = 0.01});
  before = engine_->figures().bytesRead;
  for (uint64_t i = 0; i < kReads; ++i) {
    get(i % kKeys);
    pump();
  }
  finish();
  const auto failed = static_cast<uint64_t>(std::ranges::count_if(
      answered_, [](const Answered& answer) { return answer.code != ErrorCode::kOk; }));
  EXPECT_TRUE(std::ranges::all_of(answered_, [](const Answered& answer) {
    return answer.code == ErrorCode::kOk || answer.code == ErrorCode::kIoError;
  }));
  EXPECT_LT(failed, kReads / 500) << "one in a hundred, twice";
  const uint64_t read = engine_->figures().bytesRead - before;
  EXPECT_GT(read, kReads / kKeys * aRound);
  EXPECT_LT(read, kReads / kKeys * aRound * 103 / 100);
}

// Segments are emptied and written again all the time, under readers that are slow and readers that
// have given up.
TEST_F(DelayedReads, NoReadMeetsAnotherGeneration) {
  const uint64_t overwrites = test::askedNumber("SPOLIA_RECYCLE_OVERWRITES", 15'000);
  constexpr uint64_t kKeys = 24;
  open(256 << 10, 4, 12000);
  for (uint64_t key = 0; key < kKeys; ++key) put(key);
  finish();
  disk_.setFaults({.slowRead = 0.2, .slowReadTime = milliseconds(3)});
  std::mt19937_64 random(11);
  for (uint64_t i = 0; i < overwrites && !HasFailure(); ++i) {
    put(random() % kKeys);
    get(random() % kKeys, random() % 2 == 0 ? kNoDeadline : in(1));
    for (uint64_t turns = random() % 6; turns > 0; --turns) pump();
    if (i % 1000 == 0) answered_.clear();
  }
  finish();
  const StoreFigures figures = engine_->figures();
  EXPECT_EQ(figures.corruptBlocks, 0u) << "a read met what is not its record";
  EXPECT_GT(figures.lateReads, overwrites / 50);
  EXPECT_GT(figures.bytesWritten / (256 << 10), overwrites / 60) << "segments were not recycled";
}

}  // namespace
}  // namespace spolia::store
