// RequestQueue: where submitted requests of the C interface complete. PendingRequest: one of them.
// The memory that a request names is touched only between begin() and the end of the computation,
// so that a cancelled one completes at once unless a thread is computing on it right then.
//
// Threads: any. Both are shared by whoever may still complete a request.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <unordered_map>

#include "client/spolia.h"
#include "codec/base/result.h"

namespace spolia::client {

class PendingRequest;

class RequestQueue {
 public:
  // kResourceExhausted when the system has no descriptor left.
  static Result<std::shared_ptr<RequestQueue>> open();
  explicit RequestQueue(int eventFd) : eventFd_(eventFd) {}
  ~RequestQueue();
  RequestQueue(const RequestQueue&) = delete;
  RequestQueue& operator=(const RequestQueue&) = delete;

  int eventFd() const { return eventFd_; }
  // How many were taken, after at most that time (negative: without end).
  size_t take(std::span<spolia_result> out, int32_t timeoutMs);
  // Cancels all and waits for those that are computing.
  void close();

 private:
  friend class PendingRequest;
  void expect(std::shared_ptr<PendingRequest> request);
  void complete(const std::shared_ptr<PendingRequest>& request, const spolia_result& result);

  const int eventFd_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<spolia_result> results_;
  std::set<std::shared_ptr<PendingRequest>> expected_;
};

// The requests of one handle by ticket.
class RequestTable {
 public:
  uint64_t add(const std::shared_ptr<PendingRequest>& request);
  void remove(uint64_t ticket);
  // Null when it has completed.
  std::shared_ptr<PendingRequest> find(uint64_t ticket);
  void cancelAll();

 private:
  std::mutex mutex_;
  uint64_t next_ = 1;
  std::unordered_map<uint64_t, std::weak_ptr<PendingRequest>> byTicket_;
};

class PendingRequest : public std::enable_shared_from_this<PendingRequest> {
 public:
  // Known to queue and table from here on.
  static std::shared_ptr<PendingRequest> start(std::shared_ptr<RequestQueue> queue,
                                               std::shared_ptr<RequestTable> table,
                                               uint64_t cookie);
  PendingRequest(std::shared_ptr<RequestQueue> queue, std::shared_ptr<RequestTable> table,
                 uint64_t cookie)
      : queue_(std::move(queue)), table_(std::move(table)), cookie_(cookie) {}

  uint64_t ticket() const { return ticket_; }
  // Whether to compute; after true, rest() or pay() follows from the same thread.
  bool begin();
  // Computed, and it goes on elsewhere; false: it was cancelled meanwhile and has completed.
  bool rest();
  // Completes it; once, later ones are dropped.
  void pay(spolia_result result);
  void cancel();

 private:
  void finish(spolia_result result);

  enum class State { kWaiting, kComputing, kPaid };
  const std::shared_ptr<RequestQueue> queue_;
  const std::shared_ptr<RequestTable> table_;
  const uint64_t cookie_;
  uint64_t ticket_ = 0;
  std::mutex mutex_;
  State state_ = State::kWaiting;
  bool cancelled_ = false;
};

}  // namespace spolia::client
