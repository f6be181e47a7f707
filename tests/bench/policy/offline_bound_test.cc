#include "bench/policy/offline_bound.h"

#include <gtest/gtest.h>

#include <numeric>

#include "bench/policy/replay.h"
#include "server/store/eviction/policy_factory.h"

namespace spolia::bench {
namespace {

double total(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

TEST(OfflineBoundTest, BeladyKeepsWhatComesBackFirst) {
  CostModel cost;
  cost.perToken = 1, cost.perPair = 0, cost.bytesPerToken = 1, cost.bytesPerBlock = 0;
  Trace trace{.name = "test", .blocks = 3, .requests = {}};
  for (const uint32_t id : {0, 1, 2, 0, 1, 2, 0, 1, 2}) {
    trace.requests.push_back({.blocks = {{id, 10}}});
  }
  // Two places for three blocks in turn: LRU never hits; here the one that comes last is let go.
  EXPECT_EQ(beladySaved(trace, cost, 20), (std::vector<double>{0, 0, 0, 10, 10, 0, 10, 10, 0}));
  EXPECT_EQ(total(beladySaved(trace, cost, 30)), 60);
  EXPECT_EQ(savedBound(trace, cost, 30, 0), 60);
  EXPECT_GE(savedBound(trace, cost, 20, 0), 40);
}

TEST(OfflineBoundTest, NoPolicySavesMoreThanTheBound) {
  const CostModel cost;
  for (const auto generate : {zipfDocuments, scansOverHotSet, conversations}) {
    const Trace trace = generate(1000, 9);
    SCOPED_TRACE(trace.name);
    for (const double share : {0.05, 0.2}) {
      const auto capacity =
          static_cast<uint64_t>(share * static_cast<double>(footprintBytes(trace, cost)));
      const double bound = savedBound(trace, cost, capacity, 0);
      for (const auto name : store::policyNames()) {
        auto policy = store::makePolicy(name, capacity);
        EXPECT_LE(total(replay(trace, cost, Order::kHeadFirst, **policy)), bound) << name;
      }
    }
  }
}

}  // namespace
}  // namespace spolia::bench
