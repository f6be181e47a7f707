#include "engine/scheduler/work_queue.h"

#include <gtest/gtest.h>

#include <future>
#include <vector>

namespace spolia::engine {
namespace {

TEST(WorkQueue, RunsInOrderAndStopWaitsForAll) {
  std::vector<int> ran;
  WorkQueue queue(100);
  for (int i = 0; i < 50; ++i) EXPECT_TRUE(queue.submit([&ran, i] { ran.push_back(i); }));
  queue.stop();
  ASSERT_EQ(ran.size(), 50u);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(ran[i], i);
  EXPECT_FALSE(queue.submit([] {}));
  EXPECT_EQ(queue.size(), 0u);
  queue.stop();
}

TEST(WorkQueue, WhatDoesNotFitIsDroppedAndToldSo) {
  WorkQueue queue(2);
  std::promise<void> begun, release;
  auto held = std::make_shared<int>(0);
  std::atomic<int> ran{0};
  ASSERT_TRUE(queue.submit([&] {
    begun.set_value();
    release.get_future().wait();
  }));
  begun.get_future().wait();
  EXPECT_TRUE(queue.submit([&] { ++ran; }));
  EXPECT_TRUE(queue.submit([&] { ++ran; }));
  EXPECT_EQ(queue.size(), 3u);
  EXPECT_FALSE(queue.submit([held] { ++*held; }));
  EXPECT_EQ(held.use_count(), 1) << "a dropped task is still held";
  release.set_value();
  queue.stop();
  EXPECT_EQ(ran, 2);
  EXPECT_EQ(*held, 0);
}

}  // namespace
}  // namespace spolia::engine
