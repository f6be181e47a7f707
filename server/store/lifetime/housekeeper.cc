#include "server/store/lifetime/housekeeper.h"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace spolia::store {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// After each step it rests so many times as long as the step took.
constexpr int kRests = 20;
constexpr milliseconds kLeastRest(1);
// From the end of a pass to the next: what expires one after the other goes together.
constexpr milliseconds kBetweenPasses(1000);

}  // namespace

Housekeeper::Housekeeper(Config config) : config_(std::move(config)) {}

Housekeeper::~Housekeeper() {
  stop();
}

void Housekeeper::start() {
  thread_ = std::thread([this] { run(); });
}

void Housekeeper::stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
  config_.clock.stop().ignore();  // the next opening allows for it
}

void Housekeeper::wake() {
  {
    const std::lock_guard lock(mutex_);
    woken_ = true;
  }
  changed_.notify_all();
}

void Housekeeper::keepTime() {
  const Status kept = config_.clock.tick();
  if (!kept.ok() && keptBefore_) spdlog::warn("the store's time is not kept: {}", kept.message());
  keptBefore_ = kept.ok();
}

Housekeeper::Time Housekeeper::sweepSome() {
  const Time began = steady_clock::now();
  Result<std::vector<StoreKey>> expired = config_.sweep.step(config_.index);
  if (!expired.ok()) {
    spdlog::warn("looking for what has expired: {}", expired.status().message());
  } else if (!expired->empty()) {
    config_.expire(std::move(*expired));
  }
  const Time ended = steady_clock::now();
  const bool pass = config_.sweep.nextDue() != 0;
  const auto rest = std::max<steady_clock::duration>(kLeastRest, kRests * (ended - began));
  return ended + (pass ? std::max<steady_clock::duration>(rest, kBetweenPasses) : rest);
}

Housekeeper::Time Housekeeper::nextSweep(Time now) const {
  const uint64_t due = config_.sweep.nextDue();
  const uint64_t nowMs = config_.clock.nowMs();
  constexpr uint64_t kLongest = StoreClock::kTickMs;  // it is asked again by then
  if (due >= nowMs / 1000 + kLongest / 1000) return now + milliseconds(kLongest);
  return now + milliseconds(due * 1000 - std::min(due * 1000, nowMs));
}

void Housekeeper::run() {
  Time rested = steady_clock::now();
  Time tick = rested + milliseconds(StoreClock::kTickMs);  // the opening was one
  for (;;) {
    const Time now = steady_clock::now();
    if (now >= tick) {
      keepTime();
      tick = now + milliseconds(StoreClock::kTickMs);
    }
    if (now >= rested && config_.sweep.due()) rested = sweepSome();
    const Time sweep = std::max(rested, nextSweep(now));
    std::unique_lock lock(mutex_);
    changed_.wait_until(lock, std::min(tick, sweep), [this] { return stopping_ || woken_; });
    woken_ = false;
    if (stopping_) return;
  }
}

}  // namespace spolia::store
