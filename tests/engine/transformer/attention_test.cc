#include "engine/transformer/attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "engine/kernels/reference.h"
#include "engine/transformer/kv_pages.h"
#include "tests/support/compare.h"
#include "tests/support/tiny_model.h"

namespace spolia::engine {
namespace {

using codec::ElementType;

struct HeadShape {
  uint32_t heads, kvHeads, headDim;
  ElementType type;
};

ModelConfig configOf(const HeadShape& c) {
  ModelConfig config = test::tinyConfig();
  config.heads = c.heads;
  config.kvHeads = c.kvHeads;
  config.headDim = c.headDim;
  return config;
}

float rounded(float value, ElementType type) {
  if (type == ElementType::kF16) return reference::widenF16(reference::narrowF16(value));
  if (type == ElementType::kBf16) return reference::widenBf16(reference::narrowBf16(value));
  return value;
}

// Keys and values [keys][kvHeads * headDim] of layer 1 in pages, and what a row of one query head
// has to give.
struct Fixture {
  Fixture(const HeadShape& c, uint32_t keys, uint64_t seed)
      : config(configOf(c)), pages(config, c.type, keys), random(seed) {
    k = random.matrix(keys, config.kvChannels(), 1.5f);
    v = random.matrix(keys, config.kvChannels(), 1.0f);
    for (uint32_t position = 0; position < keys; ++position) {
      pages.writeRow(1, position, k.row(position), v.row(position));
    }
    for (size_t i = 0; i < size_t{keys} * config.kvChannels(); ++i) {
      k.data()[i] = rounded(k.data()[i], c.type);
      v.data()[i] = rounded(v.data()[i], c.type);
    }
    turned = Matrix(keys, config.kvChannels());
    for (uint32_t key = 0; key < keys; ++key) {
      for (uint32_t head = 0; head < config.kvChannels(); head += config.headDim) {
        reference::rotateHead(k.row(key) + head, key, config.ropeTheta, config.headDim,
                              turned.row(key) + head);
      }
    }
  }

  // q as it goes to attend(): unscaled here.
  void expect(const float* q, uint32_t position, uint32_t window, uint32_t head, float* out) const {
    const size_t first = size_t{head / (config.heads / config.kvHeads)} * config.headDim;
    const uint32_t begin = window == 0 || position < window ? 0 : position - window + 1;
    const uint32_t keys = position + 1 - begin;
    reference::attend(q, turned.view().rowRange(begin, keys).columnRange(first, config.headDim),
                      v.view().rowRange(begin, keys).columnRange(first, config.headDim), out);
  }

  ModelConfig config;
  KvPages pages;
  test::Random random;
  Matrix k, v, turned;
};

class Attention : public testing::TestWithParam<HeadShape> {};

TEST_P(Attention, AnyAscendingRowsSeeExactlyTheKeysUpToThemselves) {
  const uint32_t keys = 330;
  Fixture f(GetParam(), keys, 31);
  const std::vector<std::vector<uint32_t>> subsets = {
      {329}, {0}, {0, 1, 2, 63, 64, 65, 255, 256, 257, 329}, {5, 300}, test::positionsFrom(0, 330)};
  const RopeTable rope(f.config.headDim, f.config.ropeTheta, f.config.maxPositions);
  const float scale = 1.0f / std::sqrt(static_cast<float>(f.config.headDim));
  ThreadPool pool(2);
  for (const uint32_t window : {0u, 2u, 64u, 100u, 256u, 330u}) {
    for (const auto& positions : subsets) {
      const Matrix q = f.random.matrix(positions.size(), f.config.queryChannels(), 1.5f);
      Matrix scaled = Matrix::copyOf(q.view());
      for (size_t i = 0; i < q.rows() * q.columns(); ++i) scaled.data()[i] *= scale;
      WorkingKv& kv = f.pages.working();
      kv.load(f.pages, 1, positions.back() + 1, rope, pool, firstKeyOf(positions[0], window));
      Matrix out(q.rows(), q.columns()), expected(q.rows(), q.columns());
      attend(scaled.view(), positions, kv, window, out.mutableView(), pool);
      for (size_t r = 0; r < positions.size(); ++r) {
        for (uint32_t head = 0; head < f.config.heads; ++head) {
          const size_t column = size_t{head} * f.config.headDim;
          f.expect(q.row(r) + column, positions[r], window, head, expected.row(r) + column);
        }
      }
      // Scores are sums of headDim products below 1.5 * 1.5 * sqrt(2); see the kernel's test.
      const double scoreBound = 3.2 * std::sqrt(1.0 * f.config.headDim);
      const double tolerance =
          2 * test::sumError(f.config.headDim + 8) * scoreBound + 2 * test::sumError(keys + 8);
      EXPECT_TRUE(test::closeTo(out.view(), expected.view(), tolerance))
          << positions.size() << " rows, window " << window;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, Attention,
                         testing::Values(HeadShape{4, 4, 32, ElementType::kF32},
                                         HeadShape{6, 2, 64, ElementType::kF32},
                                         HeadShape{6, 2, 64, ElementType::kBf16},
                                         HeadShape{6, 2, 64, ElementType::kF16},
                                         HeadShape{7, 1, 80, ElementType::kF32},
                                         HeadShape{2, 1, 128, ElementType::kBf16},
                                         HeadShape{4, 2, 20, ElementType::kF16},
                                         HeadShape{100, 1, 8, ElementType::kF32}));

// Zero rows of a single-pass link and rows of other layers are where they belong.
TEST(KvPages, RowsStartAsZeroAndLayersAreApart) {
  Fixture f({4, 2, 16, ElementType::kF32}, 70, 32);
  std::vector<float> got(2 * 70 * f.config.kvChannels(), 1);
  const auto plane = static_cast<ptrdiff_t>(70 * f.config.kvChannels() * sizeof(float));
  const codec::KvTarget target{reinterpret_cast<std::byte*>(got.data()),
                               0,
                               plane,
                               static_cast<ptrdiff_t>(f.config.headDim * sizeof(float)),
                               static_cast<ptrdiff_t>(f.config.kvChannels() * sizeof(float)),
                               ElementType::kF32};
  f.pages.exportRows(0, 0, 70, target);
  EXPECT_EQ(got, std::vector<float>(got.size(), 0));
  f.pages.exportRows(1, 0, 70, target);
  EXPECT_TRUE(std::equal(f.k.data(), f.k.data() + got.size() / 2, got.begin()));
  EXPECT_TRUE(std::equal(f.v.data(), f.v.data() + got.size() / 2, got.begin() + got.size() / 2));
}

}  // namespace
}  // namespace spolia::engine
