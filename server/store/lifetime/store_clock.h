// StoreClock: the time by which a store's entries expire. Milliseconds since 1970, about: it goes
// on with the machine's running time, follows the wall clock slowly, and continues at an opening
// where it was, so that a wall clock that jumps expires nothing and revives nothing.
//
// Owned by whoever opened the store, outlives its engine. nowMs() and nowSeconds() from any thread;
// the rest from one.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "codec/base/result.h"

namespace spolia::store {

// Where time comes from; tests and simulations have their own.
struct ClockSources {
  std::function<uint64_t()> wallMs;  // since 1970; may jump
  std::function<uint64_t()> bootMs;  // since the machine started, sleep included; never goes back
  std::string bootId;                // names that start of the machine; empty: not known

  static ClockSources ofMachine();
};

// What is kept between openings.
struct ClockState {
  std::string bootId;     // of the machine when this was written; empty: not known
  uint64_t offsetMs = 0;  // store time less bootMs, for as long as the machine runs
  uint64_t latestMs = 0;  // no later time was told before the next state was kept

  bool operator==(const ClockState&) const = default;
};

class StoreClock {
 public:
  // How far an opening follows a wall clock that is ahead of what was kept.
  static constexpr uint64_t kMostJumpMs = 3600 * 1000;
  // While it is open and behind the wall clock it runs faster by one part in so many.
  static constexpr uint64_t kCatchUpParts = 4;
  // tick() is due so often; what is kept covers two of them.
  static constexpr uint64_t kTickMs = 60 * 1000;

  using Keep = std::function<Status(const ClockState&)>;
  // `last` is what was kept when the store was open before. `keep` makes a state durable; called by
  // tick() and stop() alone.
  StoreClock(ClockSources sources, const std::optional<ClockState>& last, Keep keep);
  StoreClock(const StoreClock&) = delete;
  StoreClock& operator=(const StoreClock&) = delete;

  // Never less than before.
  uint64_t nowMs() const { return sources_.bootMs() + offsetMs_.load(std::memory_order_relaxed); }
  uint64_t nowSeconds() const { return nowMs() / 1000; }
  // When something that is put now and lives so many seconds expires; never sooner.
  uint64_t secondsAfter(uint64_t lifetime) const;
  uint64_t bootMs() const { return sources_.bootMs(); }

  // Comes nearer to a wall clock that is ahead, and keeps where the clock is. A failure to keep it
  // is told; the clock goes on without coming nearer.
  Status tick();
  // At the end, so that the next opening need not allow for two ticks.
  Status stop();

 private:
  const ClockSources sources_;
  const Keep keep_;
  std::atomic<uint64_t> offsetMs_;
  uint64_t tickedMs_;  // by bootMs
};

}  // namespace spolia::store
