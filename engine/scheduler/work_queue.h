// WorkQueue: a bounded queue of tasks and the one thread that runs them in order.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace spolia::engine {

class WorkQueue {
 public:
  // `capacity` counts waiting tasks; the one that runs is not among them.
  explicit WorkQueue(size_t capacity);
  ~WorkQueue() { stop(); }
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;

  // False, and the task is dropped, when the queue is full or stopped. Any thread.
  bool submit(std::function<void()> task);
  // Takes no more tasks, runs those that wait and joins the thread. Idempotent; not from a task.
  void stop();
  // Tasks that wait or run. Any thread.
  size_t size() const;

 private:
  void run();

  const size_t capacity_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;  // under mutex_
  bool running_ = false;                     // under mutex_
  bool stopping_ = false;                    // under mutex_
  std::thread thread_;
};

}  // namespace spolia::engine
