#include "engine/scheduler/schedule_policy.h"

#include <gtest/gtest.h>

#include <deque>

namespace spolia::engine {
namespace {

using std::chrono::milliseconds;
using Order = std::vector<size_t>;

TEST(SchedulePolicy, PromptsWithoutLoadsGoFirstAndEachKindInOrderOfArrival) {
  ScheduleConfig config;
  config.ageing = milliseconds(1000);
  const PromptState prompts[] = {{milliseconds(5), true, true},
                                 {milliseconds(30), false, true},
                                 {milliseconds(10), true, true},
                                 {milliseconds(20), false, true}};
  EXPECT_EQ(promptOrder(prompts, config), (Order{3, 1, 0, 2}));
}

TEST(SchedulePolicy, WhatHasNotArrivedIsPassedOver) {
  const PromptState prompts[] = {{milliseconds(0), true, false}, {milliseconds(9), true, true}};
  EXPECT_EQ(promptOrder(prompts, {}), (Order{1}));
  EXPECT_TRUE(promptOrder({}, {}).empty());
}

// Whoever keeps coming without stored chunks, one that has them waits for those that came within
// the ageing after it, and no longer.
TEST(SchedulePolicy, NobodyStarves) {
  ScheduleConfig config;
  config.ageing = milliseconds(100);
  std::deque<PromptState> waiting = {{milliseconds(0), true, true}};
  int rounds = 0;
  for (int now = 1; waiting.front().loads; now += 10, ++rounds) {
    waiting.push_back({milliseconds(now), false, true});
    const std::vector<PromptState> states(waiting.begin(), waiting.end());
    const Order order = promptOrder(states, config);
    waiting.erase(waiting.begin() + static_cast<ptrdiff_t>(order.front()));
    ASSERT_LT(rounds, 12);
  }
  EXPECT_GE(rounds, 10);
}

TEST(SchedulePolicy, TheBudgetIsOfDecodesAndPromptsTogether) {
  ScheduleConfig config;
  config.tokenBudget = 256;
  EXPECT_EQ(promptWork(0, 12, config), 256u * 12);
  EXPECT_EQ(promptWork(56, 12, config), 200u * 12);
  EXPECT_EQ(promptWork(1000, 12, config), 12u) << "prompts go on whatever is decoded";
}

TEST(SchedulePolicy, DecodesTakeTurnsWhereNotAllFit) {
  ScheduleConfig config;
  config.maxBatch = 4;
  EXPECT_EQ(decodeOrder(3, 2, config), (Order{0, 1, 2}));
  EXPECT_EQ(decodeOrder(6, 0, config), (Order{0, 1, 2, 3}));
  EXPECT_EQ(decodeOrder(6, 4, config), (Order{4, 5, 0, 1}));
  EXPECT_TRUE(decodeOrder(0, 0, config).empty());
  std::vector<int> turns(6);
  for (size_t step = 0, first = 0; step < 30; ++step) {
    const Order order = decodeOrder(6, first, config);
    for (const size_t i : order) ++turns[i];
    first = (order.back() + 1) % 6;
  }
  EXPECT_EQ(turns, std::vector<int>(6, 20));
}

TEST(SchedulePolicy, ChoicesShareWholePagesOfThePrompt) {
  EXPECT_EQ(pagesNeeded(1, 63, 1, 64), 1u);
  EXPECT_EQ(pagesNeeded(1, 64, 1, 64), 2u);
  EXPECT_EQ(pagesNeeded(130, 10, 1, 64), 3u);
  EXPECT_EQ(pagesNeeded(130, 10, 4, 64), 2u + 4);
  EXPECT_EQ(pagesNeeded(128, 10, 4, 64), 2u + 4);
}

}  // namespace
}  // namespace spolia::engine
