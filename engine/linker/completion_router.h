// CompletionRouter: one queue and one thread that carry a KvSource's completions to whoever waits
// for them in a thread pool. Requests are grouped in epochs; completions of an epoch that was ended
// are dropped, so a caller that gave up waiting can forget its requests while the source still
// owes their completions. Owned by a ChunkLoader.
//
// Threads: begin, end, submit, setAlarm and clearAlarm from one thread; handlers and `tick` run on
// the router's own.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <thread>

#include "codec/chunk_exchange.h"

namespace spolia::engine {

class CompletionRouter {
 public:
  using Clock = std::chrono::steady_clock;
  // Index of the request in its epoch, and its completion.
  using Handler = std::function<void(uint32_t index, codec::ChunkCompletion done)>;
  // Submits one request with this cookie and queue.
  using Submit = std::function<void(uint64_t cookie, codec::ChunkQueue& queue)>;

  // `tick` runs after every completion and when the alarm goes off.
  explicit CompletionRouter(std::function<void()> tick);
  // Waits for the completions still owed.
  ~CompletionRouter();
  CompletionRouter(const CompletionRouter&) = delete;
  CompletionRouter& operator=(const CompletionRouter&) = delete;

  // Starts an epoch; ends the one before.
  void begin(Handler handler);
  // No handler runs after this returns.
  void end();
  // One request of the current epoch.
  void submit(uint32_t index, const Submit& request);

  void setAlarm(Clock::time_point at);
  void clearAlarm();

 private:
  void run();
  void route(codec::ChunkCompletion done);
  void wake();
  std::chrono::nanoseconds untilAlarm() const;

  const std::function<void()> tick_;
  codec::ChunkQueue queue_;
  std::atomic<uint64_t> owed_{0};
  std::atomic<bool> stopping_{false};
  std::atomic<Clock::time_point> alarm_;
  std::mutex mutex_;
  uint32_t epoch_ = 0;  // under mutex_
  Handler handler_;     // under mutex_, which is held while it runs
  std::thread thread_;
};

}  // namespace spolia::engine
