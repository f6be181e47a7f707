#include "bench/policy/replay.h"

#include <gtest/gtest.h>

#include <utility>

#include "server/store/eviction/lru_policy.h"
#include "server/store/eviction/policy_factory.h"

namespace spolia::bench {
namespace {

// A token costs a second, each token before it a tenth of a second, and takes a byte.
CostModel simpleCost() {
  CostModel cost;
  cost.perToken = 1, cost.perPair = 0.1, cost.bytesPerToken = 1, cost.bytesPerBlock = 0;
  return cost;
}

Trace traceOf(bool chained, const std::vector<std::vector<uint32_t>>& requests) {
  Trace trace{.name = "test", .requests = {}};
  for (const auto& ids : requests) {
    Request request{.timeMs = 1000 * trace.requests.size(), .chained = chained, .blocks = {}};
    for (const uint32_t id : ids) {
      request.blocks.push_back({id, 10});
      trace.blocks = std::max(trace.blocks, id + 1);
    }
    trace.requests.push_back(request);
  }
  return trace;
}

TEST(ReplayTest, ChainsSaveUpToTheFirstGap) {
  const CostModel cost = simpleCost();
  const double first = cost.seconds(10, 0), second = cost.seconds(10, 10);
  EXPECT_DOUBLE_EQ(first, 10 + 0.1 * 10 * 5);
  EXPECT_DOUBLE_EQ(second, 10 + 0.1 * 10 * 15);
  store::LruPolicy lru(1000);
  EXPECT_EQ(replay(traceOf(true, {{0, 1}, {0, 1, 2}, {3, 1, 2}, {0, 4, 2}}), cost,
                   Order::kHeadFirst, lru),
            (std::vector<double>{0, first + second, 0, first}));
}

TEST(ReplayTest, IndependentBlocksSaveEachForItself) {
  const CostModel cost = simpleCost();
  const double one = cost.seconds(10, 0);
  store::LruPolicy lru(1000);
  EXPECT_EQ(replay(traceOf(false, {{0, 1}, {2, 1}, {0, 2, 1}}), cost, Order::kHeadFirst, lru),
            (std::vector<double>{0, one, 3 * one}));
}

TEST(ReplayTest, ToldTailFirstAnLruCacheKeepsTheHead) {
  const CostModel cost = simpleCost();
  const Trace trace = traceOf(true, {{0, 1, 2, 3}, {0, 1, 2, 3}});
  store::LruPolicy tailFirst(20), headFirst(20);
  EXPECT_GT(replay(trace, cost, Order::kTailFirst, tailFirst)[1], 0);
  EXPECT_EQ(replay(trace, cost, Order::kHeadFirst, headFirst)[1], 0);
}

TEST(ReplayTest, GeneratedTracesAreTheSameForASeedAndWellFormed) {
  for (const auto generate : {zipfDocuments, scansOverHotSet, conversations}) {
    const Trace trace = generate(2000, 5), again = generate(2000, 5), other = generate(2000, 6);
    SCOPED_TRACE(trace.name);
    EXPECT_GE(trace.requests.size(), 2000u);
    EXPECT_EQ(footprintBytes(trace, {}), footprintBytes(again, {}));
    EXPECT_NE(footprintBytes(trace, {}), footprintBytes(other, {}));
    std::vector<uint32_t> tokens(trace.blocks);
    uint64_t time = 0;
    for (const Request& request : trace.requests) {
      EXPECT_GE(request.timeMs, time);
      time = request.timeMs;
      for (const Block& block : request.blocks) {
        ASSERT_LT(block.id, trace.blocks);
        const uint32_t before = std::exchange(tokens[block.id], block.tokens);
        ASSERT_TRUE(before == 0 || before == block.tokens);
      }
    }
  }
}

// Every policy, on chains and documents, within its capacity: replay checks that.
TEST(ReplayTest, EveryPolicyTakesEveryTrace) {
  for (const auto generate : {zipfDocuments, scansOverHotSet, conversations}) {
    const Trace trace = generate(500, 7);
    for (const auto name : store::policyNames()) {
      auto policy = store::makePolicy(name, footprintBytes(trace, {}) / 10);
      ASSERT_TRUE(policy.ok());
      const auto saved = replay(trace, {}, Order::kHeadFirst, **policy);
      EXPECT_EQ(saved.size(), trace.requests.size()) << name;
    }
  }
}

}  // namespace
}  // namespace spolia::bench
