#include "server/store/eviction/reuse_model.h"

#include <cmath>
#include <functional>
#include <map>
#include <random>

#include "tests/server/store/eviction/driven_cache.h"

namespace spolia::store {
namespace {

constexpr ReuseClass kPlain{};

double exponential(std::mt19937_64& random, double mean) {
  return -mean * std::log1p(-static_cast<double>(random() >> 11) * 0x1p-53);
}

// Feeds `rounds` accesses each to keys of a class, at exponential intervals.
struct Feeder {
  ReuseModel& model;
  std::mt19937_64 random;
  std::multimap<double, std::pair<uint64_t, double>> due;  // time -> key, mean interval

  void add(uint64_t key, double mean) { due.insert({exponential(random, mean), {key, mean}}); }
  void run(double until, const std::function<ReuseClass(uint64_t)>& classOf) {
    while (!due.empty() && due.begin()->first < until) {
      const auto [time, what] = *due.begin();
      due.erase(due.begin());
      model.access(hashOf(what.first), classOf(what.first), static_cast<uint32_t>(time));
      due.insert({time + exponential(random, what.second), what});
    }
  }
};

TEST(ReuseModelTest, BeforeAnythingIsKnownTheYoungerIsWorthMore) {
  const ReuseModel model({});
  double before = 1e9;
  for (uint32_t age = 1; age < 1 << 20; age *= 3) {
    EXPECT_GT(model.rate(kPlain, age), 0);
    EXPECT_LT(model.rate(kPlain, age), before);
    before = model.rate(kPlain, age);
  }
}

TEST(ReuseModelTest, ARandomIntervalGivesItsRateAtAnyAge) {
  const uint64_t seed = 51;
  SCOPED_TRACE(seed);
  ReuseModel model({});
  Feeder feeder{model, std::mt19937_64(seed), {}};
  for (uint64_t key = 0; key < 400; ++key) feeder.add(key, 1000);
  feeder.run(100000, [](uint64_t) { return kPlain; });
  for (const uint32_t age : {50u, 200u, 500u, 1000u, 2000u}) {
    EXPECT_NEAR(model.rate(kPlain, age) * 1000, 1, 0.4) << "age " << age;
  }
}

TEST(ReuseModelTest, ClassesAreTold) {
  const uint64_t seed = 53;
  SCOPED_TRACE(seed);
  ReuseModel model({});
  Feeder feeder{model, std::mt19937_64(seed), {}};
  for (uint64_t key = 0; key < 400; ++key) feeder.add(key, key % 2 == 0 ? 500 : 5000);
  feeder.run(100000, [](uint64_t key) { return ReuseClass{.use = uint8_t(key % 2)}; });
  EXPECT_GT(model.rate({.use = 0}, 300), 4 * model.rate({.use = 1}, 300));
  EXPECT_NEAR(model.rate({.use = 0, .origin = 3}, 300) / model.rate({.use = 0}, 300), 1, 0.2)
      << "an origin without data takes what is known of its use";
}

// Half the keys come back after 100 ticks sharp, the others never: whoever is older than that is
// one of the others.
TEST(ReuseModelTest, WhatDidNotComeBackInTimeIsWorthNothing) {
  ReuseModel model({});
  for (uint32_t round = 0; round < 30; ++round) {
    for (uint32_t i = 0; i < 400; ++i) {
      const uint64_t key = round * 400 + i;
      model.access(hashOf(key), kPlain, round * 1000);
    }
    for (uint32_t i = 0; i < 400; i += 2) {
      const uint64_t key = round * 400 + i;
      model.access(hashOf(key), {.use = 1}, round * 1000 + 100);
    }
  }
  EXPECT_GT(model.rate(kPlain, 80), 10 * model.rate(kPlain, 400));
  EXPECT_GT(model.rate(kPlain, 80), model.rate(kPlain, 10)) << "it has less long to be held";
}

TEST(ReuseModelTest, FollowsABoundedNumberOfKeys) {
  ReuseModel model({.maxFollowed = 1000});
  const size_t before = model.stateBytes();
  for (uint32_t key = 0; key < 100000; ++key) model.access(hashOf(key), kPlain, key);
  EXPECT_LT(model.stateBytes() - before, 150000u);
}

}  // namespace
}  // namespace spolia::store
