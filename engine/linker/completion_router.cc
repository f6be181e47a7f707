#include "engine/linker/completion_router.h"

#include <algorithm>
#include <utility>

namespace spolia::engine {

namespace {

// Not a request: makes the thread look at stopping_ and alarm_ again.
constexpr uint64_t kWakeCookie = UINT64_MAX;
constexpr auto kNoAlarm = CompletionRouter::Clock::time_point::max();
constexpr std::chrono::nanoseconds kLongWait = std::chrono::hours(1);

}  // namespace

CompletionRouter::CompletionRouter(std::function<void()> tick)
    : tick_(std::move(tick)), alarm_(kNoAlarm), thread_([this] { run(); }) {}

CompletionRouter::~CompletionRouter() {
  {
    std::lock_guard lock(mutex_);
    handlers_.clear();
  }
  stopping_ = true;
  wake();
  thread_.join();
}

uint32_t CompletionRouter::open(Handler handler) {
  std::lock_guard lock(mutex_);
  handlers_.emplace(++lastGroup_, std::move(handler));
  return lastGroup_;
}

void CompletionRouter::close(uint32_t group) {
  std::lock_guard lock(mutex_);
  handlers_.erase(group);
}

void CompletionRouter::submit(uint32_t group, uint32_t index, const Submit& request) {
  ++owed_;
  request(uint64_t{group} << 32 | index, queue_);
}

void CompletionRouter::setAlarm(Clock::time_point at) {
  alarm_ = at;
  wake();
}

void CompletionRouter::clearAlarm() {
  alarm_ = kNoAlarm;
}

void CompletionRouter::wake() {
  codec::ChunkCompletion note;
  note.cookie = kWakeCookie;
  queue_.push(std::move(note));
}

std::chrono::nanoseconds CompletionRouter::untilAlarm() const {
  const Clock::time_point at = alarm_;
  if (at == kNoAlarm) return kLongWait;
  const std::chrono::nanoseconds left = at - Clock::now();
  return std::clamp(left, std::chrono::nanoseconds(0), kLongWait);
}

void CompletionRouter::route(codec::ChunkCompletion done) {
  if (done.cookie == kWakeCookie) return;
  {
    std::lock_guard lock(mutex_);
    const auto handler = handlers_.find(static_cast<uint32_t>(done.cookie >> 32));
    if (handler != handlers_.end()) {
      handler->second(static_cast<uint32_t>(done.cookie), std::move(done));
    }
  }
  --owed_;
}

void CompletionRouter::run() {
  while (!stopping_ || owed_ > 0) {
    std::optional<codec::ChunkCompletion> done = queue_.waitPopFor(untilAlarm());
    if (done) route(*std::move(done));
    // Each alarm ticks once.
    const Clock::time_point at = alarm_;
    const bool rang = at != kNoAlarm && Clock::now() >= at;
    if (rang) clearAlarm();
    if (done || rang) tick_();
  }
}

}  // namespace spolia::engine
