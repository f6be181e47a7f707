// CompletionRouter: one queue and one thread that carry a KvSource's completions to whoever waits
// for them in a thread pool. Requests are grouped; completions of a group that was closed are
// dropped, so a caller that gave up waiting can forget its requests while the source still owes
// their completions. Owned by a Linker, shared by its jobs.
//
// Threads: any; handlers and `tick` run on the router's own.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "codec/chunk_exchange.h"

namespace spolia::engine {

class CompletionRouter {
 public:
  using Clock = std::chrono::steady_clock;
  // Index of the request in its group, and its completion.
  using Handler = std::function<void(uint32_t index, codec::ChunkCompletion done)>;
  // Submits one request with this cookie and queue.
  using Submit = std::function<void(uint64_t cookie, codec::ChunkQueue& queue)>;

  // `tick` runs after every completion and when the alarm goes off.
  explicit CompletionRouter(std::function<void()> tick);
  // Waits for the completions still owed.
  ~CompletionRouter();
  CompletionRouter(const CompletionRouter&) = delete;
  CompletionRouter& operator=(const CompletionRouter&) = delete;

  // Opens a group of requests.
  uint32_t open(Handler handler);
  // No handler of the group runs after this returns. Not from a handler.
  void close(uint32_t group);
  // One request of an open group.
  void submit(uint32_t group, uint32_t index, const Submit& request);

  // One alarm; the next one replaces it.
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
  uint32_t lastGroup_ = 0;                          // under mutex_
  std::unordered_map<uint32_t, Handler> handlers_;  // under mutex_, which is held while one runs
  std::thread thread_;
};

}  // namespace spolia::engine
