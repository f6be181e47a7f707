#include "engine/kernels/attention_kernel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "engine/kernels/reference.h"
#include "tests/support/compare.h"
#include "tests/support/tiny_model.h"

namespace spolia::engine {
namespace {

using test::closeTo;

// Keys and values of one head, also in the form the kernel reads. Rows past the last are NaN, so
// that reading one shows.
struct Head {
  Head(test::Random& random, size_t count, size_t headDim)
      : keys(random.matrix(count, headDim, 2)),
        values(random.matrix(count, headDim, 1)),
        panels((count + kKeyBlock - 1) / kKeyBlock * kKeyBlock, headDim),
        padded(panels.rows(), headDim) {
    std::fill_n(panels.data(), panels.rows() * headDim, std::nanf(""));
    std::fill_n(padded.data(), padded.rows() * headDim, std::nanf(""));
    for (size_t key = 0; key < count; ++key) {
      std::copy_n(values.row(key), headDim, padded.row(key));
      float* panel = panels.data() + key / kKeyPanel * kKeyPanel * headDim;
      for (size_t i = 0; i < headDim; ++i) {
        panel[i * kKeyPanel + key % kKeyPanel] = keys.at(key, i);
      }
    }
  }
  KeyBlock block(size_t index) const {
    return {panels.row(index * kKeyBlock), padded.row(index * kKeyBlock)};
  }

  Matrix keys, values, panels, padded;
};

// Runs a tile over all keys as the transformer does.
Matrix attendAll(const Matrix& q, const std::vector<KeyRange>& seen, const Head& head) {
  const size_t rows = q.rows(), headDim = q.columns();
  Matrix scaled = Matrix::copyOf(q.view());
  for (size_t i = 0; i < rows * headDim; ++i) {
    scaled.data()[i] /= std::sqrt(static_cast<float>(headDim));
  }
  Matrix out(rows, headDim);
  std::vector<float> rowMax(rows), rowSum(rows), scores(rows * kScoreStride);
  const AttentionTile tile{rows,          headDim,       scaled.data(), out.data(),
                           rowMax.data(), rowSum.data(), scores.data()};
  resetTile(tile);
  const size_t keys = std::ranges::max(seen, {}, &KeyRange::end).end;
  for (size_t first = 0; first < keys; first += kMaxRunKeys) {
    std::vector<KeyBlock> blocks;
    for (size_t key = first; key < std::min(keys, first + kMaxRunKeys); key += kKeyBlock) {
      blocks.push_back(head.block(key / kKeyBlock));
    }
    const auto within = [first](size_t key) {
      return static_cast<uint32_t>(key > first ? std::min(key - first, kMaxRunKeys) : 0);
    };
    std::vector<KeyRange> here(rows);
    for (size_t r = 0; r < rows; ++r) here[r] = {within(seen[r].begin), within(seen[r].end)};
    attendRun(tile, blocks, here.data());
  }
  finishTile(tile);
  return out;
}

class AttentionHeadDims : public testing::TestWithParam<size_t> {};

TEST_P(AttentionHeadDims, EqualsReferenceForAnyRowCountAndMask) {
  const size_t headDim = GetParam();
  test::Random random(headDim);
  for (size_t rows : {1, 2, 3, 4, 5, 6, 7, 13, 48}) {
    const size_t count = 1 + random.below(700);
    const Head head(random, count, headDim);
    const Matrix q = random.matrix(rows, headDim, 2);
    std::vector<KeyRange> seen(rows);
    for (KeyRange& range : seen) {
      range.end = 1 + random.below(static_cast<uint32_t>(count));
      range.begin = random.below(2) == 0 ? 0 : random.below(range.end);
    }
    seen.back() = {0, static_cast<uint32_t>(count)};
    const Matrix out = attendAll(q, seen, head);
    Matrix expected(rows, headDim);
    double scoreBound = 0;
    for (size_t r = 0; r < rows; ++r) {
      double norm = 0;
      for (size_t i = 0; i < headDim; ++i) norm += std::fabs(q.at(r, i)) * 2;
      scoreBound = std::max(scoreBound, norm / std::sqrt(static_cast<double>(headDim)));
      const size_t first = seen[r].begin, keys = seen[r].end - first;
      reference::attend(q.row(r), head.keys.view().rowRange(first, keys),
                        head.values.view().rowRange(first, keys), expected.row(r));
    }
    // A score is off by sumError(headDim) of its magnitude bound, which moves weights by as much
    // relatively, on top and bottom; exp by 4 places; the weighted sum of values up to 1 by
    // sumError(keys).
    const double tolerance =
        2 * test::sumError(headDim + 4) * scoreBound + 2 * test::sumError(count + 8);
    EXPECT_TRUE(closeTo(out.view(), expected.view(), tolerance))
        << rows << " rows, " << count << " keys";
  }
}

INSTANTIATE_TEST_SUITE_P(HeadDims, AttentionHeadDims, testing::Values(6, 20, 32, 64, 80, 96, 128));

// The promise that linking tests lean on: bit for bit.
TEST(AttentionKernel, ARowDoesNotDependOnItsTile) {
  test::Random random(9);
  const Head head(random, 500, 64);
  const Matrix q = random.matrix(11, 64, 2);
  const std::vector<KeyRange> seen = {{0, 3},     {0, 500},   {0, 64}, {64, 65},
                                      {250, 256}, {255, 257}, {0, 1},  {3, 400},
                                      {383, 399}, {256, 320}, {17, 80}};
  const Matrix together = attendAll(q, seen, head);
  for (size_t r = 0; r < q.rows(); ++r) {
    const Matrix one = attendAll(Matrix::copyOf(q.view().rowRange(r, 1)), {seen[r]}, head);
    for (size_t i = 0; i < 64; ++i) {
      ASSERT_EQ(one.at(0, i), together.at(r, i)) << "row " << r << " channel " << i;
    }
  }
}

// What a window leaves out may be anything: it is not loaded.
TEST(AttentionKernel, KeysBeforeTheFirstPanelThatARowSeesAreNotRead) {
  test::Random random(11), again(11);
  Head head(random, 400, 64);
  const Head clean(again, 400, 64);
  const Matrix q = random.matrix(5, 64, 2);
  const std::vector<KeyRange> seen = {{100, 300}, {101, 301}, {120, 302}, {250, 303}, {96, 304}};
  const float bad = std::numeric_limits<float>::quiet_NaN();
  std::fill_n(head.panels.data(), 96 * 64, bad);
  std::fill_n(head.padded.data(), 96 * 64, bad);
  const Matrix out = attendAll(q, seen, head), expected = attendAll(q, seen, clean);
  EXPECT_EQ(std::memcmp(out.data(), expected.data(), 5 * 64 * sizeof(float)), 0);
}

// Scores of several hundred: the maximum is taken out before exp, and weights that vanish are 0.
TEST(AttentionKernel, LargeScoresStayFinite) {
  test::Random random(10);
  const Head head(random, 300, 32);
  Matrix q = random.matrix(1, 32, 1);
  for (size_t i = 0; i < 32; ++i) q.at(0, i) *= 500;
  const Matrix out = attendAll(q, {{0, 300}}, head);
  Matrix expected(1, 32);
  reference::attend(q.row(0), head.keys.view(), head.values.view(), expected.row(0));
  double magnitude = 0;
  for (size_t i = 0; i < 32; ++i) magnitude += std::fabs(q.at(0, i)) * 2 / std::sqrt(32.0);
  EXPECT_TRUE(closeTo(out.view(), expected.view(), 4 * test::sumError(40) * magnitude));
}

}  // namespace
}  // namespace spolia::engine
