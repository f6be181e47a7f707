#include "codec/base/aligned_buffer.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

namespace spolia {
namespace {

bool aligned(const AlignedBuffer& buffer) {
  return reinterpret_cast<uintptr_t>(buffer.data()) % AlignedBuffer::kAlignment == 0;
}

void fill(AlignedBuffer& buffer, int value) {
  std::memset(buffer.data(), value, buffer.capacity());
}

TEST(AlignedBuffer, HasRoomForWhatWasAskedAndWastesAnEighthAtMost) {
  for (const size_t size : {1ul, 4096ul, 4097ul, 131071ul, 131073ul, 1048577ul, 9000000ul}) {
    const AlignedBuffer buffer(size);
    EXPECT_TRUE(aligned(buffer));
    EXPECT_EQ(buffer.size(), size);
    EXPECT_GE(buffer.capacity(), size);
    EXPECT_EQ(buffer.capacity() % AlignedBuffer::kAlignment, 0u);
    EXPECT_LE(buffer.capacity(), std::max<size_t>(size + 4096, size + size / 8));
  }
  EXPECT_EQ(AlignedBuffer().capacity(), 0u);
  EXPECT_EQ(AlignedBuffer(0).data(), nullptr);
}

TEST(AlignedBuffer, FreedMemoryIsNeverSharedAndNeverTakenForZeros) {
  constexpr size_t kSize = 1 << 20;
  {
    AlignedBuffer dirty(kSize), other(kSize);
    fill(dirty, 1), fill(other, 2);
  }
  const AlignedBuffer zeros = AlignedBuffer::zeroed(kSize);
  for (const std::byte value : zeros.span()) ASSERT_EQ(value, std::byte{0});
  std::vector<AlignedBuffer> live;
  for (int i = 0; i < 80; ++i) {  // more than is kept
    live.emplace_back(kSize);
    fill(live.back(), i);
  }
  live.erase(live.begin(), live.begin() + 78);
  AlignedBuffer reused(kSize);
  fill(reused, 100);
  EXPECT_EQ(live[0].data()[kSize - 1], std::byte{78});
  EXPECT_EQ(live[1].data()[0], std::byte{79});
}

TEST(AlignedBuffer, MovesLeaveTheBytesWhereTheyAre) {
  AlignedBuffer from(300000);
  fill(from, 5);
  const std::byte* const data = from.data();
  const AlignedBuffer to = std::move(from);
  EXPECT_EQ(to.data(), data);
  EXPECT_EQ(to.size(), 300000u);
}

TEST(AlignedBuffer, FrontIsDroppedWithoutCopying) {
  AlignedBuffer buffer(4096 + 200000);
  fill(buffer, 1);
  std::memset(buffer.data() + 4096, 2, 200000);
  const size_t capacity = buffer.capacity();
  const std::byte* const payload = buffer.data() + 4096;
  buffer.dropFront(4096);
  EXPECT_EQ(buffer.data(), payload);
  EXPECT_EQ(buffer.size(), 200000u);
  EXPECT_EQ(buffer.capacity(), capacity - 4096);
  EXPECT_TRUE(aligned(buffer));
  const AlignedBuffer moved = std::move(buffer);
  EXPECT_EQ(moved.span().front(), std::byte{2});
  EXPECT_EQ(moved.span().back(), std::byte{2});
}

TEST(AlignedBuffer, LongOnesHaveRoomInFront) {
  AlignedBuffer buffer(200000);
  fill(buffer, 1);
  const size_t capacity = buffer.capacity();
  ASSERT_TRUE(buffer.growFront(AlignedBuffer::kFrontRoom));
  EXPECT_FALSE(buffer.growFront(4096));
  EXPECT_EQ(buffer.size(), 204096u);
  EXPECT_EQ(buffer.capacity(), capacity + 4096);
  EXPECT_TRUE(aligned(buffer));
  std::memset(buffer.data(), 2, 4096);
  buffer.dropFront(4096);
  EXPECT_EQ(buffer.span().front(), std::byte{1});
  EXPECT_TRUE(buffer.growFront(4096));
  EXPECT_FALSE(AlignedBuffer(5000).growFront(4096));
}

TEST(AlignedBuffer, ThreadsMayFreeWhatOthersMade) {
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([thread] {
      for (int i = 0; i < 200; ++i) {
        AlignedBuffer buffer((i % 3 + 1) << 18);
        fill(buffer, thread);
        std::jthread([moved = std::move(buffer), thread] {
          EXPECT_EQ(moved.span().back(), static_cast<std::byte>(thread));
        });
      }
    });
  }
}

}  // namespace
}  // namespace spolia
