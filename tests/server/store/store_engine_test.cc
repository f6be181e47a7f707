// The store on a simulated disk: a seed decides workload, order of completions, faults and what a
// crash leaves; a model says what may be read afterwards.
#include "server/store/store_engine.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <random>
#include <set>

#include "server/store/recovery.h"
#include "tests/support/map_index.h"
#include "tests/support/sim_ring.h"

namespace spolia::store {
namespace {

constexpr uint64_t kSegmentBytes = 1 << 20;
constexpr uint32_t kMaxSegments = 6;
constexpr uint64_t kKeys = 12;

StoreKey keyOf(uint64_t n) {
  StoreKey key;
  key.bytes = sha256(std::as_bytes(std::span(&n, 1)));
  return key;
}

// Value number `version` of a key; 0 stands for absence.
Bytes payloadOf(uint64_t key, uint64_t version) {
  std::mt19937_64 random(key * 1000003 + version);
  Bytes out(1 + random() % 150000);
  for (std::byte& b : out) b = static_cast<std::byte>(random());
  return out;
}

class Simulation {
 public:
  explicit Simulation(uint64_t seed) : random_(seed), disk_(seed ^ 0x5eed) {
    for (uint64_t key = 0; key < kKeys; ++key) possible_[key] = {0};
  }

  test::SimDisk& disk() { return disk_; }
  std::mt19937_64& random() { return random_; }

  void open() {
    ring_ = std::make_unique<test::SimRing>(disk_);
    Recovery recovery(*ring_, index_);
    ASSERT_TRUE(recovery.openSegments().ok());
    ASSERT_TRUE(recovery.replay().ok());
    Result<SegmentTable> table = recovery.finish();
    ASSERT_TRUE(table.ok()) << table.status().toString();
    EngineConfig config;
    config.log = {kSegmentBytes, kMaxSegments, ++epoch_, true};
    config.clock = [] { return uint64_t{1}; };
    engine_ = std::make_unique<StoreEngine>(std::move(config), *ring_, index_, std::move(*table));
  }

  // One random operation; its answer is awaited some time.
  void step() {
    const uint64_t key = random_() % kKeys;
    const uint64_t choice = random_() % 10;
    StoreOp op;
    op.queue = &queue_;
    op.cookie = nextCookie_++;
    if (choice < 5) {
      const uint64_t version = ++versions_[key];
      op.kind = StoreOp::Kind::kPut;
      op.put.meta.key = keyOf(key);
      op.put.payload = AlignedBuffer::copyOf(payloadOf(key, version));
      op.put.policy = PutPolicy::kReplace;
      mutations_[op.cookie] = {key, version};
      possible_[key].insert(version);
    } else if (choice < 7) {
      op.kind = StoreOp::Kind::kRemove;
      op.key = keyOf(key);
      mutations_[op.cookie] = {key, 0};
      possible_[key].insert(0);
    } else {
      op.kind = StoreOp::Kind::kGet;
      op.key = keyOf(key);
      op.length = UINT64_MAX;
      gets_[op.cookie] = key;
    }
    engine_->accept(std::move(op));
    if (random_() % 2 == 0) engine_->pump(Ring::Wait::kPoll);
    answers();
  }

  void finish() {
    while (!engine_->idle()) engine_->pump(Ring::Wait::kPoll);
    answers();
    ASSERT_TRUE(mutations_.empty() && gets_.empty()) << "an operation was never answered";
  }

  // The process is gone, the machine is not: what was written is there, synced or not.
  void kill() {
    engine_.reset();
    ring_.reset();
    queue_.drain();
    mutations_.clear();
    gets_.clear();
  }

  void powerLoss() {
    kill();
    disk_.crash();
    // Anything between nothing and all of the index survives; at times all of it is lost.
    index_.crash(random_() % 4 == 0 ? 0 : random_() % (index_.batches() + 1));
  }

  // Every key reads as one of the values it may have; then it has that one for certain.
  void check() {
    for (uint64_t key = 0; key < kKeys; ++key) {
      StoreOp op;
      op.kind = StoreOp::Kind::kGet;
      op.queue = &queue_;
      op.key = keyOf(key);
      op.length = UINT64_MAX;
      engine_->accept(std::move(op));
      while (!engine_->idle()) engine_->pump(Ring::Wait::kPoll);
      const auto done = queue_.drain();
      ASSERT_EQ(done.size(), 1u);
      const std::optional<uint64_t> version = versionOf(key, done[0]);
      ASSERT_TRUE(version) << "key " << key << ": " << done[0].status.toString();
      auto& possible = possible_[key];
      ASSERT_TRUE(possible.count(*version)) << "key " << key << " has version " << *version;
      possible = {*version};
    }
  }

  uint64_t acknowledged() const { return acknowledged_; }
  const StoreEngine& engine() const { return *engine_; }

 private:
  struct Mutation {
    uint64_t key;
    uint64_t version;
  };

  // Nothing when the bytes are of no version at all.
  std::optional<uint64_t> versionOf(uint64_t key, const StoreCompletion& got) {
    if (got.status.code() == ErrorCode::kNotFound) return 0;
    if (!got.status.ok()) return std::nullopt;
    for (uint64_t v = 1; v <= versions_[key]; ++v) {
      const Bytes expected = payloadOf(key, v);
      if (std::equal(expected.begin(), expected.end(), got.range().begin(), got.range().end())) {
        return v;
      }
    }
    return std::nullopt;
  }

  void answers() {
    for (StoreCompletion& done : queue_.drain()) {
      if (const auto get = gets_.extract(done.cookie); !get.empty()) {
        const bool failed =
            done.status.code() == ErrorCode::kIoError || done.status.code() == ErrorCode::kCorrupt;
        // A failed read is a miss; data that is served is right.
        EXPECT_TRUE(failed || versionOf(get.mapped(), done)) << done.status.toString();
        continue;
      }
      const auto node = mutations_.extract(done.cookie);
      ASSERT_FALSE(node.empty()) << "answered twice";
      const Mutation m = node.mapped();
      const bool removedNothing = m.version == 0 && done.status.code() == ErrorCode::kNotFound;
      if (!done.status.ok() && !removedNothing) continue;  // in doubt until the next check
      ++acknowledged_;
      // Mutations of a key happen in order: earlier values are gone, later ones may come.
      auto& possible = possible_[m.key];
      for (auto it = possible.begin(); it != possible.end();) {
        const bool later = std::any_of(mutations_.begin(), mutations_.end(), [&](const auto& e) {
          return e.second.key == m.key && e.second.version == *it && e.first > done.cookie;
        });
        it = later || *it == m.version ? std::next(it) : possible.erase(it);
      }
    }
  }

  std::mt19937_64 random_;
  test::SimDisk disk_;
  test::MapIndex index_;
  std::unique_ptr<test::SimRing> ring_;
  std::unique_ptr<StoreEngine> engine_;
  StoreQueue queue_;
  uint32_t epoch_ = 0;
  uint64_t nextCookie_ = 1;
  uint64_t acknowledged_ = 0;
  std::map<uint64_t, uint64_t> versions_;            // by key: last value made
  std::map<uint64_t, std::set<uint64_t>> possible_;  // by key: values it may read as
  std::map<uint64_t, Mutation> mutations_;           // by cookie: unanswered
  std::map<uint64_t, uint64_t> gets_;                // by cookie: key
};

uint64_t seedsToRun(uint64_t usual) {
  const char* asked = std::getenv("SPOLIA_SIM_SEEDS");
  return asked != nullptr ? std::strtoull(asked, nullptr, 10) : usual;
}

// SPOLIA_SIM_SEED replays one seed.
uint64_t firstSeed() {
  const char* asked = std::getenv("SPOLIA_SIM_SEED");
  return asked != nullptr ? std::strtoull(asked, nullptr, 10) : 1;
}

TEST(StoreSimulation, SurvivesCrashesAtAnyTime) {
  uint64_t acknowledged = 0;
  for (uint64_t seed = firstSeed(); seed < firstSeed() + seedsToRun(120); ++seed) {
    SCOPED_TRACE("SPOLIA_SIM_SEED=" + std::to_string(seed));
    Simulation sim(seed);
    for (int round = 0; round < 4; ++round) {
      sim.open();
      if (testing::Test::HasFatalFailure()) return;
      sim.check();
      if (testing::Test::HasFatalFailure()) return;
      const uint64_t steps = sim.random()() % 40;
      for (uint64_t i = 0; i < steps; ++i) sim.step();
      if (sim.random()() % 3 == 0) sim.finish();
      if (testing::Test::HasFatalFailure()) return;
      sim.powerLoss();
    }
    sim.open();
    sim.check();
    if (testing::Test::HasFatalFailure()) return;
    acknowledged += sim.acknowledged();
  }
  EXPECT_GT(acknowledged, 0u);
}

// What an opened store shows must outlive a power loss, though the process that wrote it was killed
// before its sync.
TEST(StoreSimulation, WhatIsFoundAfterAKillOutlivesAPowerLoss) {
  for (uint64_t seed = firstSeed(); seed < firstSeed() + seedsToRun(80); ++seed) {
    SCOPED_TRACE("SPOLIA_SIM_SEED=" + std::to_string(seed));
    Simulation sim(seed);
    for (int round = 0; round < 4; ++round) {
      sim.open();
      if (testing::Test::HasFatalFailure()) return;
      sim.check();
      if (testing::Test::HasFatalFailure()) return;
      if (sim.random()() % 2 == 0) {
        sim.powerLoss();
        sim.open();
        sim.check();
        if (testing::Test::HasFatalFailure()) return;
      }
      const uint64_t steps = 1 + sim.random()() % 20;
      for (uint64_t i = 0; i < steps; ++i) sim.step();
      sim.kill();
    }
  }
}

TEST(StoreSimulation, FailingDiskLosesNothingAcknowledgedAndServesNothingWrong) {
  uint64_t acknowledged = 0;
  for (uint64_t seed = firstSeed(); seed < firstSeed() + seedsToRun(80); ++seed) {
    SCOPED_TRACE("SPOLIA_SIM_SEED=" + std::to_string(seed));
    Simulation sim(seed);
    for (int round = 0; round < 3; ++round) {
      sim.disk().setFaults({});
      sim.open();
      if (testing::Test::HasFatalFailure()) return;
      sim.check();
      if (testing::Test::HasFatalFailure()) return;
      sim.disk().setFaults(
          {.readError = 0.05, .writeError = 0.03, .syncError = 0.03, .noSpace = 0.05});
      for (int i = 0; i < 30; ++i) sim.step();
      sim.finish();
      if (testing::Test::HasFatalFailure()) return;
      sim.powerLoss();
    }
    acknowledged += sim.acknowledged();
  }
  EXPECT_GT(acknowledged, 0u);
}

TEST(StoreSimulation, FlippedBitsAndMisdirectedWritesAreCaught) {
  uint64_t caught = 0;
  for (uint64_t seed = firstSeed(); seed < firstSeed() + seedsToRun(40); ++seed) {
    SCOPED_TRACE("SPOLIA_SIM_SEED=" + std::to_string(seed));
    Simulation sim(seed);
    sim.open();
    sim.disk().setFaults({.misdirected = 0.02, .flippedBit = 0.05});
    for (int i = 0; i < 60; ++i) sim.step();  // each answer is compared with every version
    sim.finish();
    if (testing::Test::HasFatalFailure()) return;
    caught += sim.engine().figures().corruptBlocks;
  }
  EXPECT_GT(caught, 0u);
}

// The power goes at every single write, sync and creation of a fixed workload.
TEST(StoreSimulation, CrashAtEveryPointOfAWorkload) {
  const auto workload = [](Simulation& sim) {
    sim.open();
    for (int i = 0; i < 25 && !testing::Test::HasFatalFailure(); ++i) sim.step();
    sim.finish();
  };
  Simulation whole(7);
  workload(whole);
  const uint64_t points = whole.disk().operations();
  ASSERT_GT(points, 20u);
  for (uint64_t point = 0; point < points; ++point) {
    SCOPED_TRACE("crash after " + std::to_string(point) + " operations");
    Simulation sim(7);
    sim.disk().failAfter(point);
    workload(sim);
    sim.powerLoss();
    sim.open();
    if (testing::Test::HasFatalFailure()) return;
    sim.check();
    if (testing::Test::HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace spolia::store
