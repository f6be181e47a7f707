// The store on a simulated disk: a seed decides workload, order of completions, faults and what a
// crash leaves; a model says what may be read afterwards.
//
// SPOLIA_SIM_SEED=n replays one seed, SPOLIA_SIM_SEEDS=n runs so many in all; SPOLIA_SIM_FAILURES=n
// fails each of so many first writes and syncs once.
#include "server/store/store_engine.h"

#include <gtest/gtest.h>

#include "tests/support/asked_number.h"
#include "tests/support/store_simulation.h"

namespace spolia::store {
namespace {

using test::SimulationShape;
using test::StoreSimulation;

constexpr int kShards = 8;

// Sanitizers slow a seed down by ten.
uint64_t usualSeeds() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return 300;
#else
  return 2000;
#endif
}

bool failed() {
  return testing::Test::HasFailure();
}

// Runs `scenario` with every seed of one shard until one fails.
template <typename Scenario>
void forEachSeed(uint64_t seeds, uint64_t first, uint64_t stride, const Scenario& scenario) {
  const uint64_t one = test::askedNumber("SPOLIA_SIM_SEED", 0);
  if (one != 0) {
    seeds = first = one;
    stride = 1;
  }
  for (uint64_t seed = first; seed <= seeds && !failed(); seed += stride) {
    SCOPED_TRACE("SPOLIA_SIM_SEED=" + std::to_string(seed));
    scenario(seed);
  }
}

// What the disk does to a running store in one round.
test::SimFaults faultsOf(std::mt19937_64& random) {
  test::SimFaults faults;
  if (random() % 2 == 0) faults.shortTransfer = 0.3;
  const uint64_t kind = random() % 5;
  if (kind == 0) {
    faults.readError = 0.05;
    faults.writeError = 0.03;
    faults.syncError = 0.03;
    faults.noSpace = 0.05;
  } else if (kind == 1) {
    faults.noSpace = 0.3;
  } else if (kind == 2) {
    faults.flippedBit = 0.05;
  }
  return faults;
}

// Everything at once: any shape, faults while it runs, kills and power losses with requests in
// flight, an index that lags or is lost, a disk that cannot be read while the store recovers.
void everything(uint64_t seed) {
  StoreSimulation sim(seed);
  std::mt19937_64& random = sim.random();
  for (uint64_t round = 2 + random() % 4; round > 0 && !failed(); --round) {
    if (random() % 4 == 0) sim.setCap(2 + static_cast<uint32_t>(random() % 7));
    const bool blind = random() % 6 == 0;
    if (blind) sim.disk().setFaults({.readError = 0.1});
    sim.open(blind);
    if (failed()) return;
    if (!blind) sim.check();
    const test::SimFaults faults = faultsOf(random);
    sim.disk().setFaults(faults);
    for (uint64_t i = random() % 50; i > 0 && !failed(); --i) sim.step();
    if (random() % 3 == 0) sim.finish();
    // What a failed sync left is readable and may not be on the medium: a process that follows
    // without a power loss could not tell.
    faults.syncError == 0 && random() % 3 == 0 ? sim.kill() : sim.powerLoss();
    if (random() % 8 == 0) sim.loseIndex();
    sim.disk().setFaults({});
  }
  EXPECT_EQ(sim.disk().syncsAfterFailure(), 0u);
  if (failed()) return;
  sim.open();
  if (!failed()) sim.check();
}

class StoreSimulationSeeds : public testing::TestWithParam<int> {};

TEST_P(StoreSimulationSeeds, KeepItsPromises) {
  forEachSeed(test::askedNumber("SPOLIA_SIM_SEEDS", usualSeeds()),
              static_cast<uint64_t>(GetParam()) + 1, kShards, everything);
}
INSTANTIATE_TEST_SUITE_P(Shard, StoreSimulationSeeds, testing::Range(0, kShards));

// What an opened store shows must outlive a power loss, though the process that wrote it was killed
// before its sync.
TEST(StoreSimulation, WhatIsFoundAfterAKillOutlivesAPowerLoss) {
  forEachSeed(usualSeeds() / 40, 1, 1, [](uint64_t seed) {
    StoreSimulation sim(seed);
    for (int round = 0; round < 4 && !failed(); ++round) {
      sim.open();
      sim.check();
      if (sim.random()() % 2 == 0) {
        sim.powerLoss();
        sim.open();
        sim.check();
      }
      const uint64_t steps = 1 + sim.random()() % 20;
      for (uint64_t i = 0; i < steps; ++i) sim.step();
      sim.kill();
    }
  });
}

// A cap that is lowered gives back the disk, and takes no more entries with it than it has to.
TEST(StoreSimulation, ALoweredCapHoldsFromTheNextOpeningOn) {
  forEachSeed(usualSeeds() / 20, 1, 1, [](uint64_t seed) {
    SimulationShape shape{256 << 10, 7, 30, 40000};
    shape.evicts = true;
    StoreSimulation sim(seed, shape);
    sim.open();
    const uint64_t steps = 100 + sim.random()() % 100;
    for (uint64_t i = 0; i < steps && !failed(); ++i) sim.step();
    sim.finish();
    const uint64_t before = sim.engine().figures().usedBytes;
    const uint32_t lower = 2 + static_cast<uint32_t>(sim.random()() % 4);
    sim.kill();
    sim.setCap(lower);
    sim.open();
    sim.finish();
    EXPECT_LE(sim.segments().size(), lower);
    const uint64_t budget = (lower - 1) * (shape.segmentBytes - kDiskBlock) / 10 * 9;
    EXPECT_GE(sim.engine().figures().usedBytes + shape.segmentBytes, std::min(before, budget));
    for (int i = 0; i < 40 && !failed(); ++i) sim.step();
    sim.finish();
    EXPECT_LE(sim.segments().size(), lower);
    sim.powerLoss();
    sim.open();
    if (!failed()) sim.check();
  });
}

// While the index takes no writes nothing changes, what is there is served, and once it does again
// the store goes on where it was.
TEST(StoreSimulation, AnIndexThatTakesNoWritesMakesTheStoreReadOnly) {
  StoreSimulation sim(3, SimulationShape{256 << 10, 4, 8, 40000});
  sim.open();
  for (int i = 0; i < 40 && !failed(); ++i) sim.step();
  sim.finish();
  sim.index().setWritable(Status(ErrorCode::kUnavailable, "no writes"));
  EXPECT_EQ(sim.engine().figures().readOnly, "no writes");
  const uint64_t acknowledged = sim.acknowledged();
  const uint64_t operations = sim.disk().operations();
  for (uint64_t key = 0; key < 8; ++key) {
    sim.submit(StoreOp::Kind::kPut, key);
    sim.submit(StoreOp::Kind::kGet, key);
  }
  sim.finish();
  EXPECT_EQ(sim.acknowledged(), acknowledged);
  EXPECT_EQ(sim.disk().operations(), operations) << "something was written";
  sim.check();
  sim.index().setWritable(Status());
  for (uint64_t key = 0; key < 8; ++key) sim.submit(StoreOp::Kind::kPut, key);
  sim.finish();
  EXPECT_EQ(sim.acknowledged(), acknowledged + 8);
  sim.powerLoss();
  sim.open();
  sim.check();
}

TEST(StoreSimulation, AnIndexOverItsShareTakesNoPutsButRemovals) {
  StoreSimulation sim(3, SimulationShape{256 << 10, 4, 8, 40000});
  sim.limitIndexFiles(1000);
  sim.open();
  sim.submit(StoreOp::Kind::kPut, 1);
  sim.finish();
  sim.index().setDiskBytes(1001);
  const uint64_t acknowledged = sim.acknowledged();
  sim.submit(StoreOp::Kind::kPut, 2);
  sim.finish();
  EXPECT_EQ(sim.acknowledged(), acknowledged);
  sim.submit(StoreOp::Kind::kRemove, 1);
  sim.finish();
  EXPECT_EQ(sim.acknowledged(), acknowledged + 1);
  sim.check();
}

// What everybody has leased leaves no room: puts are refused, nothing waits for ever, and once the
// leases end all goes on.
TEST(StoreSimulation, WhenEverythingIsLeasedPutsAreRefusedUntilLeasesEnd) {
  SimulationShape shape{256 << 10, 3, 60, 40000};
  shape.evicts = true;
  StoreSimulation sim(3, shape);
  sim.open();
  std::vector<LeaseId> leases;
  for (uint64_t key = 0; key < shape.keys && !failed(); ++key) {
    sim.submit(StoreOp::Kind::kPut, key);
    sim.finish();
    const auto known = sim.index().find(test::simulationKey(key));
    if (!*known) continue;
    const LeaseItem item{test::simulationKey(key),
                         Residents::footprintOf((*known)->meta, (*known)->address.length)};
    const auto lease = sim.leases().grant({1, "tenant"}, {&item, 1}, 1000);
    ASSERT_TRUE(lease.ok());
    leases.push_back(lease->id);
  }
  EXPECT_GT(leases.size(), 5u);
  EXPECT_LT(leases.size(), 40u) << "puts went on though everything is leased";
  EXPECT_EQ(sim.engine().figures().evicted, 0u);
  EXPECT_EQ(sim.engine().figures().entries, leases.size());
  sim.check();
  for (const LeaseId id : leases) sim.leases().release(id);
  const uint64_t acknowledged = sim.acknowledged();
  for (uint64_t key = 0; key < shape.keys; ++key) {
    sim.submit(StoreOp::Kind::kPut, key);
    sim.finish();
  }
  EXPECT_EQ(sim.acknowledged(), acknowledged + shape.keys);
  sim.powerLoss();
  sim.open();
  sim.check();
}

// A sector of the medium goes bad while the store is closed, and the index is lost as well: what
// stood in the record is gone, or an older value of its key shows; nothing else is touched.
TEST(StoreSimulation, ADamagedSectorCostsOneRecordEvenWithoutTheIndex) {
  forEachSeed(usualSeeds() / 20, 1, 1, [](uint64_t seed) {
    StoreSimulation sim(seed);
    sim.open();
    const uint64_t steps = 10 + sim.random()() % 40;
    for (uint64_t i = 0; i < steps && !failed(); ++i) {
      sim.step();
      sim.finish();
    }
    sim.powerLoss();
    const uint64_t sectors = sim.shape().segmentBytes / 512;
    const uint64_t sector = 8 + sim.random()() % (sectors - 8);  // not of the segment's header
    sim.disk().damage("00000" + std::to_string(1 + sim.random()() % 2) + ".seg", sector * 512);
    sim.loseIndex();
    sim.open();
    if (!failed()) sim.check(1);
  });
}

TEST(StoreSimulation, FlippedBitsAndMisdirectedWritesAreCaught) {
  uint64_t caught = 0;
  forEachSeed(usualSeeds() / 80, 1, 1, [&](uint64_t seed) {
    StoreSimulation sim(seed, SimulationShape{});
    sim.open();
    sim.disk().setFaults({.misdirected = 0.02, .flippedBit = 0.05});
    for (int i = 0; i < 60 && !failed(); ++i) sim.step();  // each answer is compared
    sim.finish();
    caught += sim.engine().figures().corruptBlocks;
  });
  EXPECT_GT(caught, 0u);
}

// The power goes at every single write, sync and creation of a fixed workload.
TEST(StoreSimulation, CrashAtEveryPointOfAWorkload) {
  const SimulationShape shape{256 << 10, 4, 8, 40000};
  const auto workload = [](StoreSimulation& sim) {
    sim.open();
    for (int i = 0; i < 40 && !failed(); ++i) sim.step();
    sim.finish();
  };
  StoreSimulation whole(7, shape);
  workload(whole);
  const uint64_t points = whole.disk().operations();
  ASSERT_GT(points, 50u);
  for (uint64_t point = 0; point < points && !failed(); ++point) {
    SCOPED_TRACE("crash after " + std::to_string(point) + " operations");
    StoreSimulation sim(7, shape);
    sim.disk().failAfter(point);
    workload(sim);
    sim.powerLoss();
    sim.open();
    if (!failed()) sim.check();
  }
}

// Each write fails once, with EIO or for want of space, and each sync: what was acknowledged is
// there after a crash, and no file whose sync failed is synced again.
TEST(StoreSimulation, EachWriteAndSyncFailsOnce) {
  const SimulationShape shape{256 << 10, 4, 8, 40000};
  using Failing = test::SimDisk::Failing;
  for (const Failing what : {Failing::kWrite, Failing::kSpace, Failing::kSync}) {
    const uint64_t points = test::askedNumber("SPOLIA_SIM_FAILURES", 150);
    for (uint64_t n = 0; n < points && !failed(); n += usualSeeds() < 1000 ? 7 : 1) {
      SCOPED_TRACE("kind " + std::to_string(static_cast<int>(what)) + ", number " +
                   std::to_string(n));
      StoreSimulation sim(7, shape);
      sim.open();
      sim.disk().failNth(what, n);
      for (uint64_t i = 0; i < points * 2 / 5 && !failed(); ++i) sim.step();
      sim.finish();
      EXPECT_EQ(sim.disk().syncsAfterFailure(), 0u);
      EXPECT_GT(sim.acknowledged(), 5u) << "one failure stopped the store";
      sim.powerLoss();
      sim.open();
      if (!failed()) sim.check();
    }
  }
}

TEST(StoreSimulation, ASeedReplaysEverything) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    uint64_t traces[2];
    for (uint64_t& trace : traces) {
      StoreSimulation sim(seed);
      sim.open();
      sim.disk().setFaults({.readError = 0.05, .writeError = 0.03, .shortTransfer = 0.3});
      for (int i = 0; i < 40; ++i) sim.step();
      sim.powerLoss();
      sim.disk().setFaults({});
      sim.open();
      sim.check();
      trace = sim.disk().trace();
    }
    EXPECT_EQ(traces[0], traces[1]) << "SPOLIA_SIM_SEED=" << seed;
    EXPECT_NE(traces[0], 0u);
  }
}

}  // namespace
}  // namespace spolia::store
