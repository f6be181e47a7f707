#include "engine/kernels/thread_pool.h"

#include <algorithm>

#include "codec/base/check.h"

namespace spolia::engine {

namespace {

// Loops of one layer follow each other within microseconds, and waking a sleeping thread costs
// 50 us and more: so a thread that runs out of work looks for this many pauses (about 40 ns each,
// 40 us in all) before it sleeps.
constexpr int kSpinPauses = 1000;

void pauseOnce() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

ThreadPool::ThreadPool(unsigned threads) {
  SPOLIA_CHECK(threads >= 1);
  workers_.reserve(threads - 1);
  for (unsigned i = 1; i < threads; ++i) workers_.emplace_back([this] { workerMain(); });
}

ThreadPool::~ThreadPool() {
  {
    std::unique_lock lock(mutex_);
    SPOLIA_CHECK(loops_.empty());
    while (!tasks_.empty()) runTask(lock);
    stopping_ = true;
    signal_.fetch_add(1, std::memory_order_relaxed);
    workAvailable_.notify_all();
  }
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::parallelFor(size_t n, const std::function<void(size_t)>& body) {
  if (n <= 1 || workers_.empty()) {
    for (size_t i = 0; i < n; ++i) body(i);
    return;
  }
  Loop loop{.body = &body, .n = n};
  {
    std::lock_guard lock(mutex_);
    loops_.push_back(&loop);
    signal_.fetch_add(1, std::memory_order_relaxed);
    const size_t wanted = std::min<size_t>(sleeping_, n - 1);
    for (size_t i = 0; i < wanted; ++i) workAvailable_.notify_one();
  }
  runLoop(loop);
  {
    std::lock_guard lock(mutex_);
    loops_.erase(std::find(loops_.begin(), loops_.end(), &loop));
  }
  // Nobody can enter any more. Most helpers are at their last block: wait awake for a moment.
  for (int i = 0; i < kSpinPauses && loop.helpers.load(std::memory_order_relaxed) > 0; ++i) {
    pauseOnce();
  }
  std::unique_lock lock(mutex_);
  loopLeft_.wait(lock, [&] { return loop.helpers.load(std::memory_order_relaxed) == 0; });
}

void ThreadPool::runLoop(Loop& loop) {
  for (;;) {
    const size_t i = loop.next.fetch_add(1, std::memory_order_relaxed);
    if (i >= loop.n) return;
    (*loop.body)(i);
  }
}

void ThreadPool::submit(std::function<void()> task) {
  std::lock_guard lock(mutex_);
  tasks_.push_back(std::move(task));
  ++epoch_;
  signal_.fetch_add(1, std::memory_order_relaxed);
  workAvailable_.notify_one();
  changed_.notify_all();
}

void ThreadPool::runTask(std::unique_lock<std::mutex>& lock) {
  std::function<void()> task = std::move(tasks_.front());
  tasks_.pop_front();
  lock.unlock();
  task();
  task = nullptr;  // captures are released before anybody hears that it is done
  lock.lock();
  ++epoch_;
  changed_.notify_all();
}

void ThreadPool::runQueuedTasks() {
  std::unique_lock lock(mutex_);
  for (size_t left = tasks_.size(); left > 0 && !tasks_.empty(); --left) runTask(lock);
}

void ThreadPool::helpUntil(const std::function<bool()>& done) {
  std::unique_lock lock(mutex_);
  for (;;) {
    const uint64_t seen = epoch_;
    lock.unlock();
    if (done()) return;
    lock.lock();
    if (!tasks_.empty()) {
      runTask(lock);
    } else {
      changed_.wait(lock, [&] { return epoch_ != seen || !tasks_.empty(); });
    }
  }
}

void ThreadPool::notify() {
  std::lock_guard lock(mutex_);
  ++epoch_;
  changed_.notify_all();
}

// The oldest loop that has indices left.
ThreadPool::Loop* ThreadPool::openLoopLocked() {
  for (Loop* loop : loops_) {
    if (loop->next.load(std::memory_order_relaxed) < loop->n) return loop;
  }
  return nullptr;
}

void ThreadPool::spinForWork() const {
  const uint64_t seen = signal_.load(std::memory_order_relaxed);
  for (int i = 0; i < kSpinPauses; ++i) {
    if (signal_.load(std::memory_order_relaxed) != seen) return;
    pauseOnce();
  }
}

void ThreadPool::workerMain() {
  std::unique_lock lock(mutex_);
  bool rested = true;  // nothing was done since the last look: sleep instead of spinning again
  for (;;) {
    if (Loop* loop = openLoopLocked()) {
      loop->helpers.fetch_add(1, std::memory_order_relaxed);
      lock.unlock();
      runLoop(*loop);
      lock.lock();
      if (loop->helpers.fetch_sub(1, std::memory_order_relaxed) == 1) loopLeft_.notify_all();
      rested = false;
    } else if (!tasks_.empty()) {
      runTask(lock);
      rested = false;
    } else if (stopping_) {
      return;
    } else if (!rested) {
      lock.unlock();
      spinForWork();
      lock.lock();
      rested = true;
    } else {
      ++sleeping_;
      workAvailable_.wait(lock);
      --sleeping_;
      rested = false;
    }
  }
}

}  // namespace spolia::engine
