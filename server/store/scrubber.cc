#include "server/store/scrubber.h"

#include <spdlog/spdlog.h>

#include <random>

namespace spolia::store {
namespace {

constexpr size_t kPage = 256;

void add(ScrubReport& report, const StoreCompletion& read) {
  // Removed or replaced since the page was listed: nothing was verified.
  if (read.status.code() == ErrorCode::kNotFound) return;
  ++report.entries;
  report.bytes += read.bytesRead;
  if (read.status.code() == ErrorCode::kCorrupt) ++report.damaged;
  if (read.status.code() == ErrorCode::kIoError) ++report.unreadable;
}

StoreKey randomKey() {
  StoreKey key{};
  std::random_device random;
  for (size_t i = 0; i < 8; ++i) key.bytes[i] = static_cast<std::byte>(random());
  return key;
}

}  // namespace

ScrubReport& ScrubReport::operator+=(const ScrubReport& other) {
  entries += other.entries;
  bytes += other.bytes;
  damaged += other.damaged;
  unreadable += other.unreadable;
  return *this;
}

Result<ScrubReport> scrubPass(Store& store, const StoreKey& from,
                              const std::function<bool(uint64_t bytes)>& proceed) {
  ScrubReport report;
  StoreQueue queue;
  std::optional<StoreKey> next = from;
  while (next) {
    SPOLIA_ASSIGN_OR_RETURN(const Store::Page page, store.list(*next, kPage));
    for (const EntryMeta& entry : page.entries) {
      store.submitVerify(entry.key, 0, queue);
      const StoreCompletion read = queue.waitPop();
      add(report, read);
      if (!proceed(read.bytesRead)) return report;
    }
    next = page.next;
  }
  return report;
}

Scrubber::Scrubber(Store& store, ScrubConfig config)
    : store_(store), config_(config), thread_([this] { run(); }) {}

Scrubber::~Scrubber() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stop_.notify_all();
  thread_.join();
}

ScrubReport Scrubber::report() const {
  std::lock_guard lock(mutex_);
  return report_;
}

bool Scrubber::waitUntil(Time time) {
  std::unique_lock lock(mutex_);
  return !stop_.wait_until(lock, time, [this] { return stopping_; });
}

void Scrubber::run() {
  using Clock = std::chrono::steady_clock;
  StoreKey from = randomKey();
  for (;;) {
    const Time began = Clock::now();
    Time next = began;
    const auto proceed = [&](uint64_t bytes) {
      const double seconds =
          static_cast<double>(bytes) / static_cast<double>(config_.bytesPerSecond);
      next += std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
      return waitUntil(next);
    };
    const Result<ScrubReport> pass = scrubPass(store_, from, proceed);
    if (!pass.ok()) spdlog::warn("scrubbing: {}", pass.status().message());
    if (pass.ok()) {
      if (pass->damaged + pass->unreadable > 0) {
        spdlog::warn("scrubbing found {} damaged and {} unreadable of {} entries", pass->damaged,
                     pass->unreadable, pass->entries);
      }
      std::lock_guard lock(mutex_);
      report_ += *pass;
    }
    // The part before the place where the first pass began comes at once.
    const bool whole = from == StoreKey{};
    from = StoreKey{};
    if (!waitUntil(whole || !pass.ok() ? began + config_.every : Clock::now())) return;
  }
}

}  // namespace spolia::store
