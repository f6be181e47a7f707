// One body of tests for every form of Ring.
#include "server/store/io/ring.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <map>
#include <set>
#include <thread>

#include "codec/base/aligned_buffer.h"
#include "server/store/io/pread_ring.h"
#include "server/store/io/uring_ring.h"
#include "tests/support/sim_ring.h"
#include "tests/support/temporary_directory.h"

namespace spolia::store {
namespace {

constexpr uint64_t kFileBytes = 4 << 20;
constexpr uint32_t kDepth = 8;

class RingTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const std::string name = GetParam();
    if (name == "simulated") {
      ring_ = std::make_unique<test::SimRing>(disk_);
      return;
    }
    auto made = name == "io_uring" ? makeUringRing(directory_.path(), kDepth)
                                   : makePreadRing(directory_.path(), kDepth);
    ASSERT_TRUE(made.ok()) << made.status().toString();
    ring_ = std::move(*made);
    EXPECT_EQ(ring_->name(), name);
  }
  FileHandle createFile(const std::string& name = "a") {
    const AlignedBuffer first = block('h');
    auto file = ring_->create(name, kFileBytes, first.span());
    EXPECT_TRUE(file.ok()) << file.status().toString();
    return *file;
  }
  static AlignedBuffer block(int fill, size_t size = kDiskBlock) {
    AlignedBuffer out(size);
    std::memset(out.data(), fill, size);
    return out;
  }
  // Errors by tag, of `count` completions.
  std::map<uint64_t, int> collect(size_t count) {
    std::map<uint64_t, int> out;
    std::vector<RingCompletion> completions;
    while (out.size() < count) {
      completions.clear();
      ring_->wait(Ring::Wait::kBlock, Ring::kForever, completions);
      for (const RingCompletion& c : completions) {
        EXPECT_TRUE(out.emplace(c.tag, c.error).second) << "completed twice";
      }
    }
    return out;
  }

  test::TemporaryDirectory directory_;
  test::SimDisk disk_{1};
  std::unique_ptr<Ring> ring_;
};

TEST_P(RingTest, CreatedFileHasItsSizeAndFirstBlock) {
  createFile();
  const auto file = ring_->open("a");
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(*ring_->size(*file), kFileBytes);
  AlignedBuffer read(kDiskBlock);
  ASSERT_TRUE(ring_->readNow(*file, 0, read.span()).ok());
  EXPECT_EQ(std::memcmp(read.data(), block('h').data(), kDiskBlock), 0);
  const auto names = ring_->list();
  ASSERT_TRUE(names.ok());
  EXPECT_EQ(*names, std::vector<std::string>{"a"});
}

TEST_P(RingTest, FileThatFindsNoRoomLeavesNothing) {
  if (std::string(GetParam()) == "simulated") return;  // its disk is memory
  const uint64_t tooMuch = uint64_t{1} << 54;
  const auto file = ring_->create("a", tooMuch, block('h').span());
  EXPECT_EQ(file.status().code(), ErrorCode::kOutOfSpace) << file.status().toString();
  EXPECT_TRUE(ring_->list()->empty());
  createFile();
}

TEST_P(RingTest, MissingFileIsNotFound) {
  EXPECT_EQ(ring_->open("nothing").status().code(), ErrorCode::kNotFound);
}

TEST_P(RingTest, ManyMoreRequestsThanTheDepthEachCompleteOnce) {
  const FileHandle file = createFile();
  constexpr size_t kCount = 100;
  std::vector<AlignedBuffer> buffers;
  for (size_t i = 0; i < kCount; ++i) buffers.push_back(block(static_cast<int>(i)));
  for (size_t i = 0; i < kCount; ++i) {
    ring_->submit({RingOp::kWrite, file, (1 + i) * kDiskBlock, buffers[i].data(), kDiskBlock, i});
  }
  for (const auto& [tag, error] : collect(kCount)) EXPECT_EQ(error, 0) << tag;
  ring_->submit({RingOp::kSync, file, 0, nullptr, 0, 7});
  EXPECT_EQ(collect(1)[7], 0);
  std::vector<AlignedBuffer> reads;
  for (size_t i = 0; i < kCount; ++i) reads.push_back(block(0xFF));
  for (size_t i = 0; i < kCount; ++i) {
    ring_->submit({RingOp::kRead, file, (1 + i) * kDiskBlock, reads[i].data(), kDiskBlock, i});
  }
  for (const auto& [tag, error] : collect(kCount)) {
    EXPECT_EQ(error, 0);
    EXPECT_EQ(std::memcmp(reads[tag].data(), buffers[tag].data(), kDiskBlock), 0) << tag;
  }
}

// Reads that are given up complete all the same, those that wait for their turn at once.
TEST_P(RingTest, GivenUpReadsCompleteOnce) {
  const FileHandle file = createFile();
  constexpr size_t kCount = 200;
  std::vector<AlignedBuffer> reads;
  for (size_t i = 0; i < kCount; ++i) reads.push_back(block(0xFF));
  for (int round = 0; round < 5; ++round) {
    for (size_t i = 0; i < kCount; ++i) {
      ring_->submit({RingOp::kRead, file, 0, reads[i].data(), kDiskBlock, 1 + i});
    }
    std::vector<RingCompletion> completions;
    if (round % 2 == 0) ring_->wait(Ring::Wait::kPoll, Ring::kForever, completions);
    for (size_t i = 0; i < kCount; i += 2) ring_->cancel(1 + i);
    ring_->cancel(kCount + 1);
    std::map<uint64_t, int> errors = collect(kCount - completions.size());
    for (const RingCompletion& c : completions) EXPECT_TRUE(errors.emplace(c.tag, c.error).second);
    for (const auto& [tag, error] : errors) {
      if (tag % 2 == 1 && error == ECANCELED) continue;
      EXPECT_EQ(error, 0) << tag;
      EXPECT_EQ(reads[tag - 1].data()[0], std::byte{'h'});
    }
  }
}

TEST_P(RingTest, ABlockingWaitEndsWithItsTime) {
  std::vector<RingCompletion> none;
  ring_->wait(Ring::Wait::kBlock, std::chrono::milliseconds(1), none);
  EXPECT_TRUE(none.empty());
  const FileHandle file = createFile();
  AlignedBuffer read(kDiskBlock);
  ring_->submit({RingOp::kRead, file, 0, read.data(), kDiskBlock, 1});
  while (none.empty()) ring_->wait(Ring::Wait::kBlock, std::chrono::hours(1), none);
  EXPECT_EQ(none[0].error, 0);
}

// Memory that the kernel knows and memory that it does not, in turn.
TEST_P(RingTest, LongBuffersAndPiecesOfThemAreMoved) {
  const FileHandle file = createFile();
  constexpr size_t kLong = 512 << 10;
  for (const size_t begin : {size_t{0}, kDiskBlock, size_t{128} << 10}) {
    AlignedBuffer written(kLong), read(kLong), small(kDiskBlock);
    for (size_t i = 0; i < kLong; ++i) written.data()[i] = static_cast<std::byte>(i * 7 + begin);
    std::memcpy(small.data(), written.data() + begin, kDiskBlock);
    ring_->submit({RingOp::kWrite, file, 0, written.data(), kLong, 1});
    EXPECT_EQ(collect(1)[1], 0);
    ring_->submit({RingOp::kWrite, file, kLong, small.data(), kDiskBlock, 2});
    ring_->submit({RingOp::kRead, file, begin, read.data() + begin, kLong - begin, 3});
    for (const auto& [tag, error] : collect(2)) EXPECT_EQ(error, 0);
    EXPECT_EQ(std::memcmp(read.data() + begin, written.data() + begin, kLong - begin), 0);
    ring_->submit({RingOp::kRead, file, kLong, read.data(), kDiskBlock, 4});
    EXPECT_EQ(collect(1)[4], 0);
    EXPECT_EQ(std::memcmp(read.data(), small.data(), kDiskBlock), 0);
  }
}

TEST_P(RingTest, ReadBeyondTheEndFails) {
  const FileHandle file = createFile();
  AlignedBuffer read(2 * kDiskBlock);
  ring_->submit({RingOp::kRead, file, kFileBytes - kDiskBlock, read.data(), read.size(), 1});
  EXPECT_NE(collect(1)[1], 0);
  EXPECT_FALSE(ring_->readNow(file, kFileBytes, read.span()).ok());
}

TEST_P(RingTest, WakeEndsABlockingWait) {
  if (std::string(GetParam()) == "simulated") {
    ring_->wake();
  }
  std::vector<RingCompletion> none;
  std::thread waker([this] {
    if (std::string(GetParam()) != "simulated") ring_->wake();
  });
  ring_->wait(Ring::Wait::kBlock, Ring::kForever, none);
  waker.join();
  EXPECT_TRUE(none.empty());
}

INSTANTIATE_TEST_SUITE_P(Forms, RingTest, ::testing::Values("io_uring", "pread", "simulated"),
                         [](const auto& form) { return std::string(form.param); });

}  // namespace
}  // namespace spolia::store
