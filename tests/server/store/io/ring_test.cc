// One body of tests for every form of Ring.
#include "server/store/io/ring.h"

#include <gtest/gtest.h>

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
      ring_->wait(Ring::Wait::kBlock, completions);
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
  ring_->wait(Ring::Wait::kBlock, none);
  waker.join();
  EXPECT_TRUE(none.empty());
}

INSTANTIATE_TEST_SUITE_P(Forms, RingTest, ::testing::Values("io_uring", "pread", "simulated"),
                         [](const auto& form) { return std::string(form.param); });

}  // namespace
}  // namespace spolia::store
