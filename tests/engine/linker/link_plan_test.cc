#include "engine/linker/link_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace spolia::engine {
namespace {

std::vector<uint32_t> positions(std::initializer_list<std::pair<uint32_t, uint32_t>> ranges) {
  std::vector<uint32_t> out;
  for (const auto& [begin, end] : ranges) {
    for (uint32_t i = begin; i < end; ++i) out.push_back(i);
  }
  return out;
}

// BOS, three chunks of 10, 4 and 10 rows, a question of 5.
const std::vector<PlanSegment> kPrompt = {
    {1, false}, {10, true}, {4, true}, {10, true}, {5, false}};

TEST(LinkPlan, FullComputesEverything) {
  const LinkPlan plan = makeLinkPlan(kPrompt, LinkMethod::kFull, 0);
  EXPECT_EQ(plan.rows, 30u);
  EXPECT_EQ(plan.computed, positions({{0, 30}}));
  EXPECT_TRUE(plan.loaded.empty());
}

TEST(LinkPlan, ReuseComputesFreshTextOnly) {
  const LinkPlan plan = makeLinkPlan(kPrompt, LinkMethod::kReuse, 0);
  EXPECT_EQ(plan.computed, positions({{0, 1}, {25, 30}}));
  EXPECT_EQ(plan.loaded, (std::vector<LoadedRows>{{1, 1, 0, 10}, {2, 11, 0, 4}, {3, 15, 0, 10}}));
}

TEST(LinkPlan, Lego0ComputesFreshTextOnlyOfChunksOfItsOwn) {
  EXPECT_EQ(makeLinkPlan(kPrompt, LinkMethod::kLego0, 6).computed, positions({{0, 1}, {25, 30}}));
  EXPECT_EQ(compileModeOf(LinkMethod::kLego0), codec::CompileMode::kLego0);
  EXPECT_EQ(compileModeOf(LinkMethod::kFirstK), codec::CompileMode::kBos);
  EXPECT_EQ(*linkMethodFromName("lego0"), LinkMethod::kLego0);
}

TEST(LinkPlan, FirstKSparesTheExactChunk) {
  const LinkPlan plan = makeLinkPlan(kPrompt, LinkMethod::kFirstK, 6);
  // The first chunk stands where it was compiled; the second is shorter than k.
  EXPECT_EQ(plan.computed, positions({{0, 1}, {11, 15}, {15, 21}, {25, 30}}));
  EXPECT_EQ(plan.loaded, (std::vector<LoadedRows>{{1, 1, 0, 10}, {3, 15, 6, 10}}));
}

TEST(LinkPlan, ChunkBehindOtherTextIsNotExact) {
  const std::vector<PlanSegment> segments = {{1, false}, {3, false}, {10, true}, {2, false}};
  const LinkPlan plan = makeLinkPlan(segments, LinkMethod::kFirstK, 2);
  EXPECT_EQ(plan.computed, positions({{0, 6}, {14, 16}}));
}

TEST(LinkPlan, MissingChunkIsFreshText) {
  std::vector<PlanSegment> segments = kPrompt;
  segments[1].stored = false;
  const LinkPlan plan = makeLinkPlan(segments, LinkMethod::kFirstK, 2);
  EXPECT_EQ(plan.computed, positions({{0, 11}, {11, 13}, {15, 17}, {25, 30}}));
  EXPECT_EQ(plan.loaded, (std::vector<LoadedRows>{{2, 11, 2, 4}, {3, 15, 2, 10}}));
}

TEST(LinkPlan, LastRowIsAlwaysComputed) {
  const std::vector<PlanSegment> segments = {{1, false}, {10, true}};
  const LinkPlan plan = makeLinkPlan(segments, LinkMethod::kReuse, 0);
  EXPECT_EQ(plan.computed, positions({{0, 1}, {10, 11}}));
  EXPECT_EQ(plan.loaded, (std::vector<LoadedRows>{{1, 1, 0, 9}}));
}

TEST(LinkPlan, EveryRowIsComputedOrLoadedOnce) {
  for (uint32_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 rng(seed);
    std::vector<PlanSegment> segments = {{1, false}};
    for (size_t i = rng() % 6; i > 0; --i)
      segments.push_back({static_cast<uint32_t>(1 + rng() % 40), rng() % 2 == 0});
    const auto method = static_cast<LinkMethod>(rng() % 4);
    const LinkPlan plan = makeLinkPlan(segments, method, rng() % 20);
    std::vector<uint32_t> seen(plan.rows);
    for (uint32_t position : plan.computed) ++seen[position];
    for (const LoadedRows& rows : plan.loaded) {
      EXPECT_TRUE(segments[rows.segment].stored);
      EXPECT_GT(rows.rows(), 0u);
      for (uint32_t i = rows.rowBegin; i < rows.rowEnd; ++i) ++seen[rows.firstPosition + i];
    }
    EXPECT_EQ(seen, std::vector<uint32_t>(plan.rows, 1));
    EXPECT_TRUE(std::ranges::is_sorted(plan.computed));
    EXPECT_EQ(plan.computed.back(), plan.rows - 1);
  }
}

TEST(LinkPlan, MethodsHaveNames) {
  for (LinkMethod method : {LinkMethod::kFull, LinkMethod::kReuse, LinkMethod::kFirstK}) {
    EXPECT_EQ(linkMethodFromName(linkMethodName(method)).value(), method);
  }
  EXPECT_EQ(linkMethodFromName("fist-k").status().code(), ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace spolia::engine
