// The one pool that owns the cores: loops of kernels, and background tasks such as decoding streams
// while a layer is computed. Made by main and passed down, never global.
//
// Threads: every method from any thread, also from inside a body or a task; loops of several
// callers share the workers. Bodies and tasks do not throw.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace spolia::engine {

class ThreadPool {
 public:
  // `threads` counts the calling thread, so threads - 1 workers are started. At least 1.
  explicit ThreadPool(unsigned threads);
  // Runs the background tasks that are still queued, then joins the workers.
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  unsigned threads() const { return static_cast<unsigned>(workers_.size()) + 1; }

  // Calls body(0) .. body(n - 1), each once, on the caller and on workers that are free; indices
  // are handed out one by one in ascending order, so put the largest first. Returns when all are
  // done; what the bodies wrote is then visible to the caller.
  void parallelFor(size_t n, const std::function<void(size_t)>& body);

  // Queues a background task. Workers run it when no loop wants them; with a pool of one thread it
  // runs in helpUntil() or in the destructor. Tasks start in the order of submission.
  void submit(std::function<void()> task);

  // Runs the background tasks that are queued by now on the caller.
  void runQueuedTasks();

  // Runs background tasks on the caller until done() is true; sleeps while there are none. done()
  // is called on this thread only, without locks held, and is looked at again after each notify(),
  // each submitted and each finished task.
  void helpUntil(const std::function<bool()>& done);

  // Something changed that a done() of helpUntil() may depend on.
  void notify();

 private:
  // One parallelFor() in progress; lives on its caller's stack. Workers enter and leave it under
  // mutex_, so it cannot vanish under them.
  struct Loop {
    const std::function<void(size_t)>* body;
    size_t n;
    std::atomic<size_t> next{0};
    std::atomic<unsigned> helpers{0};
  };

  void workerMain();
  void runLoop(Loop& loop);
  void runTask(std::unique_lock<std::mutex>& lock);
  Loop* openLoopLocked();
  void spinForWork() const;

  std::mutex mutex_;
  std::condition_variable workAvailable_;    // a loop, a task or the end
  std::condition_variable loopLeft_;         // a worker left a loop as its last helper
  std::condition_variable changed_;          // epoch_ grew
  std::vector<Loop*> loops_;                 // guarded by mutex_
  std::deque<std::function<void()>> tasks_;  // guarded by mutex_
  uint64_t epoch_ = 0;               // guarded by mutex_; counts reasons to call done() again
  unsigned sleeping_ = 0;            // guarded by mutex_; workers in workAvailable_
  bool stopping_ = false;            // guarded by mutex_
  std::atomic<uint64_t> signal_{0};  // grows with each loop and task: what idle workers spin on
  std::vector<std::thread> workers_;
};

}  // namespace spolia::engine
