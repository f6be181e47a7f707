#include "engine/transformer/page_pool.h"

#include <gtest/gtest.h>

#include <cstring>
#include <set>

#include "engine/transformer/forward.h"
#include "tests/support/tiny_model.h"

namespace spolia::engine {
namespace {

using codec::ElementType;

TEST(PagePool, APageGivenBackIsTheNextOne) {
  const ModelConfig config = test::tinyConfig();
  const auto pool = PagePool::create(config, ElementType::kBf16);
  PageRef page = pool->take();
  const std::byte* const place = page->data();
  PageRef again = page;
  page.reset();
  EXPECT_EQ(pool->taken(), 1u) << "somebody else holds it";
  again.reset();
  EXPECT_EQ(pool->taken(), 0u);
  EXPECT_EQ(pool->take()->data(), place);
}

TEST(PagePool, PagesDoNotOverlapAndOutliveThePool) {
  const ModelConfig config = test::tinyConfig();
  auto pool = PagePool::create(config, ElementType::kF32);
  std::vector<PageRef> pages;
  for (size_t bytes = 0; bytes < (size_t{80} << 20); bytes += pool->pageBytes()) {
    pages.push_back(pool->take());
    std::memset(pages.back()->data(), static_cast<int>(pages.size() % 251), pool->pageBytes());
  }
  const size_t pageBytes = pool->pageBytes();
  pool.reset();
  std::set<const std::byte*> places;
  for (size_t i = 0; i < pages.size(); ++i) {
    const auto wanted = static_cast<std::byte>((i + 1) % 251);
    EXPECT_EQ(pages[i]->data()[0], wanted);
    EXPECT_EQ(pages[i]->data()[pageBytes - 1], wanted);
    places.insert(pages[i]->data());
  }
  EXPECT_EQ(places.size(), pages.size());
}

class PooledPagesTest : public ::testing::TestWithParam<ElementType> {
 protected:
  static std::vector<float> logits(const Transformer& transformer, KvPages& pages,
                                   std::span<const codec::TokenId> tokens, uint32_t first) {
    auto pass =
        transformer.begin(tokens.subspan(first), test::positionsFrom(first, tokens.size() - first));
    SPOLIA_CHECK(pass.ok());
    transformer.run(*pass, pages);
    return transformer.logits(*pass, pass->rows() - 1);
  }
};

// Recycled pages hold anything, not-a-numbers too: what is not written is not read.
TEST_P(PooledPagesTest, GiveTheBitsOfPagesOfTheirOwn) {
  const ModelConfig config = test::tinyConfig();
  const auto model = test::makeTinyModel(config, 7);
  ThreadPool threads(2);
  const Transformer transformer(*model, threads, Rounding::kInvariant);
  const auto tokens = test::randomTokens(config, 150, 1);
  const auto pool = PagePool::create(config, GetParam());
  {
    std::vector<PageRef> dirty;
    for (int i = 0; i < 8; ++i) dirty.push_back(pool->take());
    for (const PageRef& page : dirty) std::memset(page->data(), 0xff, pool->pageBytes());
  }
  KvPages own(config, GetParam(), 160), pooled(config, *pool, 160, {});
  const auto wanted = logits(transformer, own, tokens, 0);
  EXPECT_EQ(logits(transformer, pooled, tokens, 0), wanted);

  // A second sequence begins with the whole pages of the first.
  KvPages shared(config, *pool, 160, pooled.front(2));
  EXPECT_EQ(pool->taken(), 3u + 1);
  EXPECT_EQ(logits(transformer, shared, tokens, 128), wanted);
}

TEST_P(PooledPagesTest, ForksGoTheirOwnWays) {
  const ModelConfig config = test::tinyConfig();
  const auto model = test::makeTinyModel(config, 7);
  ThreadPool threads(2);
  const Transformer transformer(*model, threads, Rounding::kInvariant);
  const auto pool = PagePool::create(config, GetParam());
  auto a = test::randomTokens(config, 140, 1), b = a;
  for (size_t i = 130; i < b.size(); ++i) b[i] = (b[i] + 1) % config.vocabSize;
  KvPages pages(config, *pool, 140, {});
  logits(transformer, pages, std::span(a).first(130), 0);
  const auto fork = pages.fork(130);
  EXPECT_EQ(pool->taken(), 3u + 1) << "two whole pages are shared";
  const auto ofA = logits(transformer, pages, a, 130);
  const auto ofB = logits(transformer, *fork, b, 130);
  KvPages freshA(config, GetParam(), 140), freshB(config, GetParam(), 140);
  EXPECT_EQ(ofA, logits(transformer, freshA, a, 0));
  EXPECT_EQ(ofB, logits(transformer, freshB, b, 0));
}

INSTANTIATE_TEST_SUITE_P(Types, PooledPagesTest,
                         testing::Values(ElementType::kF32, ElementType::kF16, ElementType::kBf16));

}  // namespace
}  // namespace spolia::engine
