// WorkerPool: threads that run what they are given, in order. For encoding and decoding that nobody
// waits for. Threads: any may push.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace spolia::client {

class WorkerPool {
 public:
  explicit WorkerPool(size_t threads);
  ~WorkerPool() { finish(); }
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // `job` does not throw. After finish() it is dropped.
  void push(std::function<void()> job);
  // Runs what is there and joins.
  void finish();

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> jobs_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace spolia::client
