// Scrubber: reads what a store holds, over and over, so that damage is found before the entry is
// needed. What is found damaged becomes a miss, as by a read.
//
// Owned by the store's opener; the store outlives it. Works on a thread of its own from
// construction to destruction; report() may be called from any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>

#include "server/store/store.h"

namespace spolia::store {

struct ScrubReport {
  uint64_t entries = 0;
  uint64_t bytes = 0;       // read from the medium
  uint64_t damaged = 0;     // entries; they are misses from now on
  uint64_t unreadable = 0;  // entries that the disk failed to read; left as they are

  ScrubReport& operator+=(const ScrubReport& other);
};

// Reads every entry from `from` on in key order, once, one at a time. `proceed` is called after
// each with the bytes it took; false ends the pass.
Result<ScrubReport> scrubPass(Store& store, const StoreKey& from,
                              const std::function<bool(uint64_t bytes)>& proceed);

struct ScrubConfig {
  uint64_t bytesPerSecond = 16 << 20;
  // From the beginning of one pass to that of the next, at least.
  std::chrono::seconds every = std::chrono::hours(24);
};

class Scrubber {
 public:
  // Begins somewhere at random, so that a process that never lives long sees all of the store in
  // the long run.
  Scrubber(Store& store, ScrubConfig config);
  ~Scrubber();
  Scrubber(const Scrubber&) = delete;
  Scrubber& operator=(const Scrubber&) = delete;

  // Of all passes so far, unfinished ones too.
  ScrubReport report() const;

 private:
  using Time = std::chrono::steady_clock::time_point;

  void run();
  // False when the scrubber is to end.
  bool waitUntil(Time time);

  Store& store_;
  const ScrubConfig config_;
  mutable std::mutex mutex_;
  std::condition_variable stop_;
  bool stopping_ = false;  // guarded by mutex_
  ScrubReport report_;     // guarded by mutex_
  std::thread thread_;
};

}  // namespace spolia::store
