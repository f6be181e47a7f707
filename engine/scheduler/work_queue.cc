#include "engine/scheduler/work_queue.h"

namespace spolia::engine {

WorkQueue::WorkQueue(size_t capacity) : capacity_(capacity), thread_([this] { run(); }) {}

bool WorkQueue::submit(std::function<void()> task) {
  const std::lock_guard lock(mutex_);
  if (stopping_ || tasks_.size() >= capacity_) return false;
  tasks_.push_back(std::move(task));
  changed_.notify_one();
  return true;
}

void WorkQueue::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

size_t WorkQueue::size() const {
  const std::lock_guard lock(mutex_);
  return tasks_.size() + (running_ ? 1 : 0);
}

void WorkQueue::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
    if (tasks_.empty()) return;
    {
      const std::function<void()> task = std::move(tasks_.front());
      tasks_.pop_front();
      running_ = true;
      lock.unlock();
      task();
    }
    lock.lock();
    running_ = false;
  }
}

}  // namespace spolia::engine
