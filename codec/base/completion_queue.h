// CompletionQueue<T>: how asynchronous parts (store, tiers, kv sources, the client's thread) hand
// results to whoever asked, without knowing their event loop. Producers push from any thread; one
// consumer drains. The eventfd is readable while something waits, so an epoll loop or a KJ loop can
// watch it; a thread without a loop calls waitPop().
//
// A producer owes exactly one completion for each request, also after a cancel or a failure. The
// queue outlives every request that names it.
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "codec/base/check.h"

namespace spolia {

template <typename T>
class CompletionQueue {
 public:
  CompletionQueue() : eventFd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    SPOLIA_CHECK(eventFd_ >= 0);
  }
  ~CompletionQueue() { ::close(eventFd_); }
  CompletionQueue(const CompletionQueue&) = delete;
  CompletionQueue& operator=(const CompletionQueue&) = delete;

  void push(T completion) {
    {
      std::lock_guard lock(mutex_);
      items_.push_back(std::move(completion));
      // Written under the lock: a consumer that drains everything may destroy the queue right
      // after.
      const uint64_t one = 1;
      [[maybe_unused]] auto written = ::write(eventFd_, &one, sizeof one);
      ready_.notify_one();
    }
  }

  // Everything that waits, without blocking; clears the eventfd.
  std::vector<T> drain() {
    std::lock_guard lock(mutex_);
    clearEvent();
    std::vector<T> out;
    out.reserve(items_.size());
    for (T& item : items_) out.push_back(std::move(item));
    items_.clear();
    return out;
  }

  // The next completion, or nothing now.
  std::optional<T> tryPop() {
    std::lock_guard lock(mutex_);
    return popLocked();
  }

  // Blocks until there is one.
  T waitPop() {
    std::unique_lock lock(mutex_);
    ready_.wait(lock, [this] { return !items_.empty(); });
    return *popLocked();
  }

  // Blocks until there is one or the time is over.
  std::optional<T> waitPopFor(std::chrono::nanoseconds timeout) {
    std::unique_lock lock(mutex_);
    ready_.wait_for(lock, timeout, [this] { return !items_.empty(); });
    return popLocked();
  }

  // Readable while completions wait. Owned by the queue.
  int eventFd() const { return eventFd_; }

 private:
  std::optional<T> popLocked() {
    if (items_.empty()) return std::nullopt;
    std::optional<T> out(std::move(items_.front()));
    items_.pop_front();
    if (items_.empty()) clearEvent();
    return out;
  }
  void clearEvent() {
    uint64_t count;
    [[maybe_unused]] auto got = ::read(eventFd_, &count, sizeof count);
  }

  const int eventFd_;
  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<T> items_;
};

}  // namespace spolia
