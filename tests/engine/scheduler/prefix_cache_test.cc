#include "engine/scheduler/prefix_cache.h"

#include <gtest/gtest.h>

#include "tests/support/tiny_model.h"

namespace spolia::engine {
namespace {

constexpr uint32_t kPage = PagePool::kPageTokens;

class PrefixCacheTest : public ::testing::Test {
 protected:
  std::vector<codec::TokenId> tokens(size_t count, uint64_t seed) const {
    return test::randomTokens(config_, count, seed);
  }
  std::vector<PageRef> take(size_t count) {
    std::vector<PageRef> out;
    for (size_t i = 0; i < count; ++i) out.push_back(pool_->take());
    return out;
  }

  const ModelConfig config_ = test::tinyConfig();
  const std::shared_ptr<PagePool> pool_ = PagePool::create(config_, codec::ElementType::kBf16);
  PrefixCache cache_;
};

TEST_F(PrefixCacheTest, TheLongestCommonBeginningIsFoundInWholePages) {
  const auto text = tokens(3 * kPage + 5, 1);
  const auto pages = take(3);
  cache_.add(text, "", pages);
  EXPECT_EQ(cache_.find(text, ""), pages);
  EXPECT_EQ(cache_.find(std::span(text).first(2 * kPage + 63), ""),
            std::vector(pages.begin(), pages.begin() + 2));
  auto other = text;
  other[kPage] ^= 1;
  EXPECT_EQ(cache_.find(other, ""), std::vector(pages.begin(), pages.begin() + 1));
  other[0] ^= 1;
  EXPECT_TRUE(cache_.find(other, "").empty()) << "the same page behind another one is another page";
  EXPECT_TRUE(cache_.find({}, "").empty());
}

TEST_F(PrefixCacheTest, SaltsAreKeptApart) {
  const auto text = tokens(kPage, 1);
  cache_.add(text, "a", take(1));
  EXPECT_TRUE(cache_.find(text, "").empty());
  EXPECT_TRUE(cache_.find(text, "b").empty());
  EXPECT_EQ(cache_.find(text, "a").size(), 1u);
}

TEST_F(PrefixCacheTest, WhatIsThereStays) {
  const auto text = tokens(2 * kPage, 1);
  const auto first = take(1), second = take(2);
  cache_.add(text, "", first);
  cache_.add(text, "", second);
  EXPECT_EQ(cache_.find(text, ""), (std::vector{first[0], second[1]}));
}

TEST_F(PrefixCacheTest, LastPagesGoFirstAndPagesInUseStay) {
  const auto text = tokens(3 * kPage, 1), other = tokens(kPage, 2);
  cache_.add(text, "", take(3));
  auto held = take(1);
  cache_.add(other, "", held);
  EXPECT_EQ(pool_->taken(), 4u);
  EXPECT_EQ(cache_.find(text, "").size(), 3u);
  EXPECT_EQ(cache_.drop(1), 1u);
  EXPECT_EQ(cache_.find(text, "").size(), 2u);
  EXPECT_EQ(cache_.drop(10), 2u) << "one is held";
  EXPECT_EQ(pool_->taken(), 1u);
  EXPECT_EQ(cache_.find(other, ""), held);
  held.clear();
  EXPECT_EQ(cache_.drop(10), 1u);
  EXPECT_EQ(pool_->taken(), 0u);
  EXPECT_EQ(cache_.size(), 0u);
}

TEST_F(PrefixCacheTest, WhatWasNotAskedForTheLongestGoesFirst) {
  const auto a = tokens(kPage, 1), b = tokens(kPage, 2), c = tokens(kPage, 3);
  for (const auto& text : {a, b, c}) cache_.add(text, "", take(1));
  EXPECT_EQ(cache_.find(a, "").size(), 1u);
  EXPECT_EQ(cache_.drop(1), 1u);
  EXPECT_TRUE(cache_.find(b, "").empty());
  EXPECT_EQ(cache_.find(a, "").size() + cache_.find(c, "").size(), 2u);
}

}  // namespace
}  // namespace spolia::engine
