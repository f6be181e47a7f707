#include "client/library/request_queue.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "client/library/kv_order.h"

namespace spolia::client {
namespace {

spolia_result cancelledResult() {
  return resultOf({ErrorCode::kCancelled, "cancelled"});
}

}  // namespace

Result<std::shared_ptr<RequestQueue>> RequestQueue::open() {
  const int fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0) return Status(ErrorCode::kResourceExhausted, "eventfd: no descriptor left");
  return std::make_shared<RequestQueue>(fd);
}

RequestQueue::~RequestQueue() {
  ::close(eventFd_);
}

size_t RequestQueue::take(std::span<spolia_result> out, int32_t timeoutMs) {
  std::unique_lock lock(mutex_);
  const auto some = [this] { return !results_.empty(); };
  if (timeoutMs < 0) {
    changed_.wait(lock, some);
  } else if (!changed_.wait_for(lock, std::chrono::milliseconds(timeoutMs), some)) {
    return 0;
  }
  const size_t count = std::min(out.size(), results_.size());
  std::copy_n(results_.begin(), count, out.begin());
  results_.erase(results_.begin(), results_.begin() + static_cast<ptrdiff_t>(count));
  if (results_.empty()) {
    uint64_t events;
    [[maybe_unused]] auto got = ::read(eventFd_, &events, sizeof events);
  }
  return count;
}

void RequestQueue::close() {
  std::unique_lock lock(mutex_);
  const std::vector<std::shared_ptr<PendingRequest>> open(expected_.begin(), expected_.end());
  lock.unlock();
  for (const auto& request : open) request->cancel();
  lock.lock();
  changed_.wait(lock, [this] { return expected_.empty(); });
}

void RequestQueue::expect(std::shared_ptr<PendingRequest> request) {
  std::lock_guard lock(mutex_);
  expected_.insert(std::move(request));
}

void RequestQueue::complete(const std::shared_ptr<PendingRequest>& request,
                            const spolia_result& result) {
  std::lock_guard lock(mutex_);
  expected_.erase(request);
  results_.push_back(result);
  const uint64_t one = 1;
  [[maybe_unused]] auto written = ::write(eventFd_, &one, sizeof one);
  changed_.notify_all();
}

uint64_t RequestTable::add(const std::shared_ptr<PendingRequest>& request) {
  std::lock_guard lock(mutex_);
  byTicket_[next_] = request;
  return next_++;
}

void RequestTable::remove(uint64_t ticket) {
  std::lock_guard lock(mutex_);
  byTicket_.erase(ticket);
}

std::shared_ptr<PendingRequest> RequestTable::find(uint64_t ticket) {
  std::lock_guard lock(mutex_);
  const auto found = byTicket_.find(ticket);
  return found == byTicket_.end() ? nullptr : found->second.lock();
}

void RequestTable::cancelAll() {
  std::vector<std::shared_ptr<PendingRequest>> all;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [ticket, request] : byTicket_) {
      if (auto alive = request.lock()) all.push_back(std::move(alive));
    }
  }
  for (const auto& request : all) request->cancel();
}

std::shared_ptr<PendingRequest> PendingRequest::start(std::shared_ptr<RequestQueue> queue,
                                                      std::shared_ptr<RequestTable> table,
                                                      uint64_t cookie) {
  auto request = std::make_shared<PendingRequest>(std::move(queue), std::move(table), cookie);
  request->ticket_ = request->table_->add(request);
  request->queue_->expect(request);
  return request;
}

bool PendingRequest::begin() {
  std::lock_guard lock(mutex_);
  if (state_ != State::kWaiting) return false;
  state_ = State::kComputing;
  return true;
}

bool PendingRequest::rest() {
  {
    std::lock_guard lock(mutex_);
    state_ = State::kWaiting;
    if (!cancelled_) return true;
  }
  pay(cancelledResult());
  return false;
}

void PendingRequest::pay(spolia_result result) {
  {
    std::lock_guard lock(mutex_);
    if (std::exchange(state_, State::kPaid) == State::kPaid) return;
  }
  finish(result);
}

void PendingRequest::cancel() {
  {
    std::lock_guard lock(mutex_);
    cancelled_ = true;
    // Whoever computes completes it.
    if (state_ != State::kWaiting) return;
    state_ = State::kPaid;
  }
  finish(cancelledResult());
}

void PendingRequest::finish(spolia_result result) {
  result.cookie = cookie_;
  table_->remove(ticket_);
  queue_->complete(shared_from_this(), result);
}

}  // namespace spolia::client
