// Whatever kills, power losses and a failing disk leave of a store of few segments: puts get
// through again once what may be evicted or removed makes room for them, and nothing that was
// removed comes back by that.
//
// SPOLIA_SIM_SEED=n replays one seed, SPOLIA_SIM_SEEDS=n runs so many of each kind.
#include <gtest/gtest.h>

#include <string>

#include "tests/support/asked_number.h"
#include "tests/support/store_simulation.h"

namespace spolia::store {
namespace {

using test::SimulationShape;
using test::StoreSimulation;

bool hasFailed() {
  return testing::Test::HasFailure();
}

// Sanitizers slow a seed down by ten.
uint64_t seedsOfStandstill() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return 10;
#else
  return 60;
#endif
}

// What wears a store out.
struct Wear {
  uint32_t segments = 6;
  bool faults = false;  // of the disk
  bool caps = false;    // another cap at each opening
};

SimulationShape shapeOf(std::mt19937_64& random, uint32_t segments) {
  constexpr uint64_t kValues[] = {300, 9000, 40000};
  SimulationShape shape;
  shape.segmentBytes = uint64_t{128} << 10 << random() % 2;
  shape.maxSegments = segments;
  shape.keys = 3 + random() % 60;
  shape.maxValue = kValues[random() % std::size(kValues)];
  shape.evicts = random() % 2 == 0;
  shape.expires = random() % 4 == 0;
  shape.alike = random() % 2 == 0;
  if (segments >= 12) {
    shape.alike = true;
    shape.segmentBytes = 64 << 10;
  }
  return shape;
}

test::SimFaults faultsAtRest(std::mt19937_64& random) {
  test::SimFaults faults;
  if (random() % 2 == 0) faults.shortTransfer = 0.3;
  const uint64_t kind = random() % 4;
  if (kind == 0) {
    faults.readError = 0.03;
    faults.writeError = 0.01;
    faults.syncError = 0.01;
  } else if (kind == 1) {
    faults.noSpace = 0.1;
  }
  return faults;
}

// Puts and removals in stretches that are more of the one or the other, cut off by the end of the
// process or of the power.
void live(StoreSimulation& sim, const Wear& wear) {
  std::mt19937_64& random = sim.random();
  const test::SimFaults faults = wear.faults ? faultsAtRest(random) : test::SimFaults();
  sim.disk().setFaults(faults);
  constexpr uint64_t kRemovals[] = {0, 3, 6, 10};  // of ten
  uint64_t removals = kRemovals[random() % std::size(kRemovals)];
  for (uint64_t i = random() % 200; i > 0 && !hasFailed(); --i) {
    if (random() % 30 == 0) removals = kRemovals[random() % std::size(kRemovals)];
    if (random() % 8 == 0) {
      sim.step();
    } else {
      const bool remove = random() % 10 < removals;
      sim.submit(remove ? StoreOp::Kind::kRemove : StoreOp::Kind::kPut,
                 random() % sim.shape().keys);
    }
    if (random() % 8 == 0) sim.finish();
  }
  faults.syncError == 0 && random() % 2 == 0 ? sim.kill() : sim.powerLoss();
  if (random() % 6 == 0) sim.loseIndex();
  sim.disk().setFaults({});
}

// How many of these are answered with success, one after the other.
uint64_t succeeding(StoreSimulation& sim, StoreOp::Kind kind) {
  const uint64_t before = sim.acknowledged();
  for (uint64_t key = 0; key < sim.shape().keys && !hasFailed(); ++key) {
    sim.submit(kind, key);
    sim.finish();
  }
  return sim.acknowledged() - before;
}

// False when the store is at a standstill.
bool survives(uint64_t seed, const Wear& wear) {
  std::mt19937_64 random(seed * 2654435761u + wear.segments);
  StoreSimulation sim(seed, shapeOf(random, wear.segments));
  for (uint64_t round = 2 + random() % 5; round > 0 && !hasFailed(); --round) {
    if (wear.caps) sim.setCap(2 + static_cast<uint32_t>(random() % 7));
    const bool blind = wear.faults && random() % 8 == 0;
    if (blind) sim.disk().setFaults({.readError = 0.1});
    sim.open(blind);
    if (hasFailed()) return true;
    if (!blind) sim.check();
    live(sim, wear);
  }
  if (hasFailed()) return true;
  sim.setCap(wear.segments);
  sim.open();
  if (!hasFailed()) sim.check();
  bool goesOn = true;
  if (!sim.shape().evicts) goesOn = succeeding(sim, StoreOp::Kind::kRemove) == sim.shape().keys;
  // Some may be refused as long as what others hold has to go first.
  goesOn = goesOn && succeeding(sim, StoreOp::Kind::kPut) > 0;
  for (const bool rebuilt : {false, true}) {
    random() % 2 == 0 ? sim.powerLoss() : sim.kill();
    if (rebuilt) sim.loseIndex();
    sim.open();
    if (!hasFailed()) sim.check();
  }
  return goesOn;
}

void noneStands(const Wear& wear) {
  const uint64_t one = test::askedNumber("SPOLIA_SIM_SEED", 0);
  const uint64_t seeds =
      one != 0 ? one : test::askedNumber("SPOLIA_SIM_SEEDS", seedsOfStandstill());
  uint64_t stuck = 0;
  std::string which;
  for (uint64_t seed = one != 0 ? one : 1; seed <= seeds && !hasFailed(); ++seed) {
    SCOPED_TRACE("SPOLIA_SIM_SEED=" + std::to_string(seed));
    if (survives(seed, wear)) continue;
    if (++stuck > 8) continue;
    which += ' ';
    which += std::to_string(seed);
  }
  EXPECT_EQ(stuck, 0u) << stuck << " of " << seeds << " seeds come to a standstill:" << which;
}

class Standstill : public testing::TestWithParam<uint32_t> {};

TEST_P(Standstill, NeverAfterKillsAndPowerLosses) {
  noneStands({GetParam()});
}

TEST_P(Standstill, NeverAfterFaultsOfTheDisk) {
  noneStands({GetParam(), true});
}

TEST_P(Standstill, NeverAfterACapThatCameAndWent) {
  noneStands({GetParam(), true, true});
}

INSTANTIATE_TEST_SUITE_P(Segments, Standstill, testing::Values(2u, 3u, 4u, 5u, 6u, 7u, 12u, 15u));

}  // namespace
}  // namespace spolia::store
