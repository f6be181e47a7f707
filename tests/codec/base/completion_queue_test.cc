#include "codec/base/completion_queue.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <memory>
#include <thread>

namespace spolia {
namespace {

bool readable(int fd) {
  pollfd p{fd, POLLIN, 0};
  return ::poll(&p, 1, 0) == 1;
}

TEST(CompletionQueue, EventFdIsReadableWhileSomethingWaits) {
  CompletionQueue<int> queue;
  EXPECT_FALSE(readable(queue.eventFd()));
  queue.push(1);
  queue.push(2);
  EXPECT_TRUE(readable(queue.eventFd()));
  EXPECT_EQ(queue.tryPop(), 1);
  EXPECT_TRUE(readable(queue.eventFd()));
  EXPECT_EQ(queue.drain(), std::vector<int>{2});
  EXPECT_FALSE(readable(queue.eventFd()));
  EXPECT_EQ(queue.tryPop(), std::nullopt);
  EXPECT_EQ(queue.waitPopFor(std::chrono::nanoseconds(1)), std::nullopt);
}

TEST(CompletionQueue, EverythingPushedByManyThreadsArrivesOnce) {
  CompletionQueue<std::unique_ptr<int>> queue;
  std::vector<std::thread> producers;
  for (int t = 0; t < 4; ++t) {
    producers.emplace_back([&queue, t] {
      for (int i = 0; i < 1000; ++i) queue.push(std::make_unique<int>(t * 1000 + i));
    });
  }
  std::vector<int> seen(4000, 0);
  for (int i = 0; i < 4000; ++i) ++seen[*queue.waitPop()];
  for (std::thread& thread : producers) thread.join();
  EXPECT_EQ(seen, std::vector<int>(4000, 1));
}

}  // namespace
}  // namespace spolia
