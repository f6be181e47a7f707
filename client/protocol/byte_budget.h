// A bound on bytes that are held at one time: reserved before they are allocated, given back when
// the reservation is destroyed. Waiters are served in the order they came. One event loop; outlives
// its reservations.
#pragma once

#include <kj/async.h>

#include <cstddef>
#include <deque>

namespace spolia::protocol {

class ByteBudget {
 public:
  explicit ByteBudget(size_t limit) : limit_(limit) {}
  KJ_DISALLOW_COPY(ByteBudget);

  // Gives its bytes back when destroyed.
  class Reservation {
   public:
    Reservation() = default;
    Reservation(Reservation&& other) noexcept;
    Reservation& operator=(Reservation&& other) noexcept;
    ~Reservation() { release(); }
    void release();

   private:
    friend class ByteBudget;
    Reservation(ByteBudget& budget, size_t bytes) : budget_(&budget), bytes_(bytes) {}
    ByteBudget* budget_ = nullptr;
    size_t bytes_ = 0;
  };

  // Resolves once the bytes are free. More than the limit counts as all of it. Dropping the promise
  // leaves the queue.
  kj::Promise<Reservation> reserve(size_t bytes);

  size_t used() const { return used_; }
  size_t limit() const { return limit_; }

 private:
  struct Waiter {
    size_t bytes;
    kj::Own<kj::PromiseFulfiller<Reservation>> fulfiller;
  };
  void giveBack(size_t bytes);

  const size_t limit_;
  size_t used_ = 0;
  std::deque<Waiter> waiters_;
};

}  // namespace spolia::protocol
