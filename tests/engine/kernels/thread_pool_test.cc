#include "engine/kernels/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <thread>
#include <vector>

namespace spolia::engine {
namespace {

class ThreadPoolSizes : public testing::TestWithParam<unsigned> {};

TEST_P(ThreadPoolSizes, CallsEachIndexOnceAndShowsWhatWasWritten) {
  ThreadPool pool(GetParam());
  EXPECT_EQ(pool.threads(), GetParam());
  for (size_t n : {0, 1, 2, 7, 1000}) {
    std::vector<int> calls(n, 0);  // plain ints: the end of the loop has to order them
    pool.parallelFor(n, [&](size_t i) { ++calls[i]; });
    EXPECT_EQ(calls, std::vector<int>(n, 1)) << n;
  }
}

TEST_P(ThreadPoolSizes, LoopsInsideLoops) {
  ThreadPool pool(GetParam());
  std::atomic<int> sum{0};
  pool.parallelFor(8, [&](size_t i) {
    pool.parallelFor(5, [&](size_t j) { sum += static_cast<int>(i * 10 + j); });
  });
  EXPECT_EQ(sum, 5 * 10 * 28 + 8 * 10);
}

TEST_P(ThreadPoolSizes, LoopsOfSeveralCallers) {
  ThreadPool pool(GetParam());
  std::vector<std::thread> callers;
  std::atomic<size_t> done{0};
  for (int caller = 0; caller < 3; ++caller) {
    callers.emplace_back([&] {
      for (int round = 0; round < 200; ++round) pool.parallelFor(9, [&](size_t) { ++done; });
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(done, size_t{3 * 200 * 9});
}

TEST_P(ThreadPoolSizes, HelpUntilRunsTasksThatSubmitTasks) {
  ThreadPool pool(GetParam());
  std::atomic<int> finished{0};
  for (int i = 0; i < 20; ++i) {
    pool.submit([&] { pool.submit([&] { ++finished; }); });
  }
  pool.helpUntil([&] { return finished == 20; });
  EXPECT_EQ(finished, 20);
}

TEST_P(ThreadPoolSizes, LoopsAndTasksTogether) {
  ThreadPool pool(GetParam());
  std::atomic<int> tasks{0};
  for (int round = 0; round < 100; ++round) {
    pool.submit([&] { ++tasks; });
    std::atomic<int> calls{0};
    pool.parallelFor(4, [&](size_t) { ++calls; });
    ASSERT_EQ(calls, 4);
  }
  pool.helpUntil([&] { return tasks == 100; });
}

TEST_P(ThreadPoolSizes, TheEndRunsWhatIsQueued) {
  std::atomic<int> tasks{0};
  {
    ThreadPool pool(GetParam());
    for (int i = 0; i < 50; ++i) pool.submit([&] { ++tasks; });
  }
  EXPECT_EQ(tasks, 50);
}

INSTANTIATE_TEST_SUITE_P(Threads, ThreadPoolSizes, testing::Values(1u, 2u, 5u));

// A completion from outside (a queue's event) wakes a helper that has nothing to do.
TEST(ThreadPool, NotifyWakesAHelperWithoutTasks) {
  ThreadPool pool(2);
  std::atomic<bool> arrived{false};
  std::latch waiting(1);
  std::thread outside([&] {
    waiting.wait();
    arrived = true;
    pool.notify();
  });
  bool first = true;
  pool.helpUntil([&] {
    if (first) waiting.count_down();  // from here on the outside may answer
    first = false;
    return arrived.load();
  });
  outside.join();
  EXPECT_TRUE(arrived);
}

// A task that takes long must not keep a loop from ending: the caller does all of it.
TEST(ThreadPool, LoopEndsWhileWorkersAreBusy) {
  ThreadPool pool(2);
  std::latch started(1), release(1);
  pool.submit([&] {
    started.count_down();
    release.wait();
  });
  started.wait();
  int calls = 0;  // only the caller is free
  pool.parallelFor(10, [&](size_t) { ++calls; });
  EXPECT_EQ(calls, 10);
  release.count_down();
}

}  // namespace
}  // namespace spolia::engine
