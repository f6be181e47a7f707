#include "server/store/lifetime/store_clock.h"

#include <time.h>

#include <algorithm>
#include <fstream>
#include <utility>

namespace spolia::store {
namespace {

uint64_t millisecondsOf(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return static_cast<uint64_t>(time.tv_sec) * 1000 + static_cast<uint64_t>(time.tv_nsec) / 1000000;
}

// Where the clock begins. While the machine runs on, its own time tells exactly how long the store
// was closed. Otherwise there is only the wall clock, and whether the machine was off or the clock
// is wrong cannot be told: an hour is believed, the rest is made up for while the store is open.
uint64_t firstMs(const ClockSources& sources, const std::optional<ClockState>& last) {
  const uint64_t boot = sources.bootMs();
  const uint64_t wall = std::max(sources.wallMs(), boot);
  if (!last) return wall;
  const uint64_t byBoot = boot + last->offsetMs;
  // A container may be given another running time on the same machine.
  const bool sameBoot = !sources.bootId.empty() && sources.bootId == last->bootId &&
                        byBoot + 2 * StoreClock::kTickMs >= last->latestMs;
  if (sameBoot) return byBoot;
  const uint64_t least = std::max(last->latestMs, boot);
  return std::clamp(wall, least, least + StoreClock::kMostJumpMs);
}

}  // namespace

ClockSources ClockSources::ofMachine() {
  ClockSources sources;
  sources.wallMs = [] { return millisecondsOf(CLOCK_REALTIME); };
  sources.bootMs = [] { return millisecondsOf(CLOCK_BOOTTIME); };
  std::ifstream id("/proc/sys/kernel/random/boot_id");
  id >> sources.bootId;
  return sources;
}

StoreClock::StoreClock(ClockSources sources, const std::optional<ClockState>& last, Keep keep)
    : sources_(std::move(sources)), keep_(std::move(keep)) {
  const uint64_t first = firstMs(sources_, last);
  tickedMs_ = sources_.bootMs();
  offsetMs_ = first - std::min(first, tickedMs_);
}

uint64_t StoreClock::secondsAfter(uint64_t lifetime) const {
  const uint64_t now = (nowMs() + 999) / 1000;
  return lifetime > UINT64_MAX - now ? UINT64_MAX : now + lifetime;
}

// The offset changes only once it is kept: what was told is then never ahead of what the next
// opening on this machine computes.
Status StoreClock::tick() {
  const uint64_t boot = sources_.bootMs();
  const uint64_t wall = sources_.wallMs();
  const uint64_t now = boot + offsetMs_;
  const uint64_t behind = wall - std::min(wall, now);
  const uint64_t nearer = std::min(behind, (boot - tickedMs_) / kCatchUpParts);
  const uint64_t offset = offsetMs_ + nearer;
  SPOLIA_RETURN_IF_ERROR(keep_({sources_.bootId, offset, boot + offset + 2 * kTickMs}));
  tickedMs_ = boot;
  offsetMs_ = offset;
  return Status();
}

Status StoreClock::stop() {
  return keep_({sources_.bootId, offsetMs_, nowMs()});
}

}  // namespace spolia::store
