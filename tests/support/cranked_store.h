// CrankedStore: a StoreEngine over a simulated disk and an index in memory, cranked by hand one
// operation at a time. One thread.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <utility>

#include "server/store/recovery.h"
#include "server/store/store_engine.h"
#include "tests/support/map_index.h"
#include "tests/support/sim_ring.h"

namespace spolia::test {

class CrankedStore {
 public:
  CrankedStore(uint64_t seed, uint64_t segmentBytes, uint32_t maxSegments)
      : disk_(seed), segmentBytes_(segmentBytes), maxSegments_(maxSegments) {}

  // Anew with what disk and index hold.
  void open() {
    close();
    ring_ = std::make_unique<SimRing>(disk_);
    store::Recovery recovery(*ring_, index_);
    ASSERT_TRUE(recovery.openSegments().ok());
    ASSERT_TRUE(recovery.replay().ok());
    store::EngineConfig config;
    config.log = {segmentBytes_, maxSegments_, ++epoch_, true};
    config.clock = [] { return uint64_t{0}; };
    engine_ = std::make_unique<store::StoreEngine>(std::move(config), *ring_, index_,
                                                   recovery.finish().value());
  }
  void close() { engine_.reset(); }

  // To its end.
  store::StoreCompletion run(store::StoreOp op) {
    op.queue = &queue_;
    op.length = UINT64_MAX;
    engine_->accept(std::move(op));
    while (!engine_->idle()) engine_->pump(store::Ring::Wait::kPoll);
    auto done = queue_.drain();
    EXPECT_EQ(done.size(), 1u);
    return done.empty() ? store::StoreCompletion{} : std::move(done[0]);
  }

  SimDisk& disk() { return disk_; }
  MapIndex& index() { return index_; }

 private:
  SimDisk disk_;
  MapIndex index_;
  const uint64_t segmentBytes_;
  const uint32_t maxSegments_;
  uint32_t epoch_ = 0;
  std::unique_ptr<SimRing> ring_;
  std::unique_ptr<store::StoreEngine> engine_;
  store::StoreQueue queue_;
};

}  // namespace spolia::test
