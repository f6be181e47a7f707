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
  end();
  stopping_ = true;
  wake();
  thread_.join();
}

void CompletionRouter::begin(Handler handler) {
  std::lock_guard lock(mutex_);
  ++epoch_;
  handler_ = std::move(handler);
}

void CompletionRouter::end() {
  std::lock_guard lock(mutex_);
  ++epoch_;
  handler_ = nullptr;
}

void CompletionRouter::submit(uint32_t index, const Submit& request) {
  uint64_t cookie;
  {
    std::lock_guard lock(mutex_);
    cookie = uint64_t{epoch_} << 32 | index;
  }
  ++owed_;
  request(cookie, queue_);
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
  const uint32_t epoch = static_cast<uint32_t>(done.cookie >> 32);
  {
    std::lock_guard lock(mutex_);
    if (epoch == epoch_ && handler_) {
      handler_(static_cast<uint32_t>(done.cookie), std::move(done));
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
