// Deadlines: who waits for how long, on a monotonic clock. Values and one bookkeeping class; one
// thread.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <utility>

namespace spolia {

using Deadline = std::chrono::steady_clock::time_point;
inline constexpr Deadline kNoDeadline = Deadline::max();

class Deadlines {
 public:
  using Clock = std::function<Deadline()>;
  // By the deadline first; two with the same one differ by their number.
  using Ticket = std::pair<Deadline, uint64_t>;
  static constexpr Ticket kNoTicket{kNoDeadline, 0};

  explicit Deadlines(Clock clock) : clock_(std::move(clock)) {}

  bool passed(Deadline deadline) const { return deadline != kNoDeadline && deadline <= clock_(); }

  // `late` is called from expire() once the deadline has passed, unless it was removed before.
  Ticket add(Deadline deadline, std::function<void()> late) {
    if (deadline == kNoDeadline) return kNoTicket;
    const Ticket ticket{deadline, next_++};
    waiting_.emplace(ticket, std::move(late));
    return ticket;
  }
  // Of one that is there no longer: nothing happens.
  void remove(const Ticket& ticket) { waiting_.erase(ticket); }

  // Until the next deadline, not negative; nanoseconds::max() when there is none.
  std::chrono::nanoseconds left() const {
    if (waiting_.empty()) return std::chrono::nanoseconds::max();
    return std::max(std::chrono::nanoseconds(0),
                    std::chrono::nanoseconds(waiting_.begin()->first.first - clock_()));
  }
  void expire() {
    while (!waiting_.empty() && passed(waiting_.begin()->first.first)) {
      const auto late = std::move(waiting_.begin()->second);
      waiting_.erase(waiting_.begin());
      late();
    }
  }

 private:
  const Clock clock_;
  std::map<Ticket, std::function<void()>> waiting_;
  uint64_t next_ = 1;
};

}  // namespace spolia
