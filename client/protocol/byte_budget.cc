#include "client/protocol/byte_budget.h"

#include <algorithm>
#include <utility>

namespace spolia::protocol {

ByteBudget::Reservation::Reservation(Reservation&& other) noexcept
    : budget_(std::exchange(other.budget_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

ByteBudget::Reservation& ByteBudget::Reservation::operator=(Reservation&& other) noexcept {
  if (this != &other) {
    release();
    budget_ = std::exchange(other.budget_, nullptr);
    bytes_ = std::exchange(other.bytes_, 0);
  }
  return *this;
}

void ByteBudget::Reservation::release() {
  if (budget_ != nullptr) std::exchange(budget_, nullptr)->giveBack(std::exchange(bytes_, 0));
}

kj::Promise<ByteBudget::Reservation> ByteBudget::reserve(size_t bytes) {
  bytes = std::min(bytes, limit_);
  // Behind those who wait already, else a large request would starve.
  if (waiters_.empty() && used_ + bytes <= limit_) {
    used_ += bytes;
    return Reservation(*this, bytes);
  }
  auto paf = kj::newPromiseAndFulfiller<Reservation>();
  waiters_.push_back({bytes, kj::mv(paf.fulfiller)});
  return kj::mv(paf.promise);
}

void ByteBudget::giveBack(size_t bytes) {
  used_ -= bytes;
  while (!waiters_.empty()) {
    Waiter& first = waiters_.front();
    if (!first.fulfiller->isWaiting()) {
      waiters_.pop_front();
      continue;
    }
    if (used_ + first.bytes > limit_) return;
    used_ += first.bytes;
    auto fulfiller = kj::mv(first.fulfiller);
    Reservation reservation(*this, first.bytes);
    waiters_.pop_front();
    fulfiller->fulfill(kj::mv(reservation));
  }
}

}  // namespace spolia::protocol
