// Housekeeper: the thread that keeps a store's time and gives up what has expired, a little at a
// time: of one core it takes a twentieth at most.
//
// Owned by the store's opener; what it is given outlives it. Works from start() to stop() or
// destruction; wake() may be called from any thread at any time.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "server/store/lifetime/expiry_sweep.h"
#include "server/store/lifetime/store_clock.h"

namespace spolia::store {

class Housekeeper {
 public:
  struct Config {
    StoreClock& clock;
    ExpirySweep& sweep;
    Index& index;
    // Has those of the keys given up that have expired.
    std::function<void(std::vector<StoreKey>)> expire;
  };
  explicit Housekeeper(Config config);
  ~Housekeeper();
  Housekeeper(const Housekeeper&) = delete;
  Housekeeper& operator=(const Housekeeper&) = delete;

  void start();
  void stop();
  // Something expires sooner than all that was known.
  void wake();

 private:
  using Time = std::chrono::steady_clock::time_point;

  void run();
  void keepTime();
  Time sweepSome();
  Time nextSweep(Time now) const;

  const Config config_;
  bool keptBefore_ = true;  // the last time it was tried
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;  // guarded by mutex_
  bool woken_ = false;     // likewise
  std::thread thread_;
};

}  // namespace spolia::store
