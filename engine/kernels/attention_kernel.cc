#include "engine/kernels/attention_kernel.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "codec/base/check.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/attention_kernel.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace spolia::engine {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::CappedTag<float, kKeyPanel>;
using V = hn::Vec<D>;

// What a product a * b means for c.
struct Operands {
  const float* a;  // [rows][k]
  size_t aStride;
  const float* b;  // [k][columns]
  size_t bStride;
  size_t k;
  float* c;  // [rows][columns]
  size_t cStride;
};

// The part of one row in a tile: two vectors, or only the low one. Rows are separate variables
// below, as arrays of vectors would go through memory.
struct RowSum {
  V low, high;
};

template <bool kUsed, bool kPair, bool kAdd>
HWY_INLINE RowSum firstSum(const Operands& p, size_t row) {
  const D d;
  if (!kUsed || !kAdd) return {hn::Zero(d), hn::Zero(d)};
  const float* c = p.c + row * p.cStride;
  return {hn::LoadU(d, c), kPair ? hn::LoadU(d, c + hn::Lanes(d)) : hn::Zero(d)};
}

template <bool kUsed, bool kPair>
HWY_INLINE void addTerm(const float* a, V low, V high, RowSum& sum) {
  if (!kUsed) return;
  const V factor = hn::Set(D(), *a);
  sum.low = hn::MulAdd(factor, low, sum.low);
  if (kPair) sum.high = hn::MulAdd(factor, high, sum.high);
}

template <bool kUsed, bool kPair>
HWY_INLINE void storeSum(const Operands& p, size_t row, const RowSum& sum) {
  if (!kUsed) return;
  const D d;
  hn::StoreU(sum.low, d, p.c + row * p.cStride);
  if (kPair) hn::StoreU(sum.high, d, p.c + row * p.cStride + hn::Lanes(d));
}

// c (+)= a * b for kRows x (1 or 2 vectors): each element sums over k in ascending order, so a
// row's result does not depend on which rows share its tile.
template <size_t kRows, bool kPair, bool kAdd>
void productTile(const Operands& p) {
  const D d;
  RowSum s0 = firstSum<(kRows > 0), kPair, kAdd>(p, 0);
  RowSum s1 = firstSum<(kRows > 1), kPair, kAdd>(p, 1);
  RowSum s2 = firstSum<(kRows > 2), kPair, kAdd>(p, 2);
  RowSum s3 = firstSum<(kRows > 3), kPair, kAdd>(p, 3);
  RowSum s4 = firstSum<(kRows > 4), kPair, kAdd>(p, 4);
  RowSum s5 = firstSum<(kRows > 5), kPair, kAdd>(p, 5);
  const float* a = p.a;
  const float* b = p.b;
  const size_t stride = p.aStride;
  for (const float* end = p.a + p.k; a != end; ++a, b += p.bStride) {
    const V low = hn::LoadU(d, b), high = kPair ? hn::LoadU(d, b + hn::Lanes(d)) : low;
    addTerm<(kRows > 0), kPair>(a, low, high, s0);
    addTerm<(kRows > 1), kPair>(a + stride, low, high, s1);
    addTerm<(kRows > 2), kPair>(a + 2 * stride, low, high, s2);
    addTerm<(kRows > 3), kPair>(a + 3 * stride, low, high, s3);
    addTerm<(kRows > 4), kPair>(a + 4 * stride, low, high, s4);
    addTerm<(kRows > 5), kPair>(a + 5 * stride, low, high, s5);
  }
  storeSum<(kRows > 0), kPair>(p, 0, s0);
  storeSum<(kRows > 1), kPair>(p, 1, s1);
  storeSum<(kRows > 2), kPair>(p, 2, s2);
  storeSum<(kRows > 3), kPair>(p, 3, s3);
  storeSum<(kRows > 4), kPair>(p, 4, s4);
  storeSum<(kRows > 5), kPair>(p, 5, s5);
}

template <bool kPair, bool kAdd>
void productColumn(size_t rows, const Operands& p) {
  switch (rows) {
    case 1:
      return productTile<1, kPair, kAdd>(p);
    case 2:
      return productTile<2, kPair, kAdd>(p);
    case 3:
      return productTile<3, kPair, kAdd>(p);
    case 4:
      return productTile<4, kPair, kAdd>(p);
    case 5:
      return productTile<5, kPair, kAdd>(p);
    default:
      return productTile<6, kPair, kAdd>(p);
  }
}

// Columns that do not fill a vector: only heads whose headDim is no multiple of 16.
template <bool kAdd>
void productScalar(size_t rows, size_t columns, const Operands& p) {
  for (size_t r = 0; r < rows; ++r) {
    for (size_t column = 0; column < columns; ++column) {
      float& c = p.c[r * p.cStride + column];
      float sum = kAdd ? c : 0.0f;
      for (size_t i = 0; i < p.k; ++i) {
        sum = std::fma(p.a[r * p.aStride + i], p.b[i * p.bStride + column], sum);
      }
      c = sum;
    }
  }
}

// c (+)= a * b for any extent, 6 rows at a time.
template <bool kAdd>
void product(size_t rows, size_t columns, const Operands& all) {
  const size_t lanes = hn::Lanes(D());
  for (size_t r = 0; r < rows; r += 6) {
    const size_t count = std::min<size_t>(6, rows - r);
    Operands p = all;
    p.a += r * p.aStride;
    p.c += r * p.cStride;
    size_t column = 0;
    for (; column + 2 * lanes <= columns; column += 2 * lanes) {
      productColumn<true, kAdd>(count, p);
      p.b += 2 * lanes;
      p.c += 2 * lanes;
    }
    for (; column + lanes <= columns; column += lanes) {
      productColumn<false, kAdd>(count, p);
      p.b += lanes;
      p.c += lanes;
    }
    if (column < columns) productScalar<kAdd>(count, columns - column, p);
  }
}

// exp(x) for x <= 0, within 2 ulp down to -87; below that exactly 0, so that a masked score
// (-infinity) has no weight. x = n ln 2 + r with |r| <= ln 2 / 2, ln 2 in two parts so that n ln 2
// is exact enough; e^r by its Taylor polynomial of degree 7 (next term < 1e-9).
HWY_INLINE V expNegative(V x) {
  const D d;
  const V n = hn::Round(hn::Mul(x, hn::Set(d, 1.44269504f)));
  V r = hn::NegMulAdd(n, hn::Set(d, 0.693359375f), x);
  r = hn::NegMulAdd(n, hn::Set(d, -2.12194440e-4f), r);
  V e = hn::Set(d, 1.0f / 5040);
  e = hn::MulAdd(e, r, hn::Set(d, 1.0f / 720));
  e = hn::MulAdd(e, r, hn::Set(d, 1.0f / 120));
  e = hn::MulAdd(e, r, hn::Set(d, 1.0f / 24));
  e = hn::MulAdd(e, r, hn::Set(d, 1.0f / 6));
  e = hn::MulAdd(e, r, hn::Set(d, 0.5f));
  e = hn::MulAdd(e, r, hn::Set(d, 1.0f));
  e = hn::MulAdd(e, r, hn::Set(d, 1.0f));
  const hn::RebindToSigned<D> di;
  const auto power = hn::ShiftLeft<23>(hn::ConvertTo(di, n));
  const V scaled = hn::BitCast(d, hn::Add(hn::BitCast(di, e), power));
  return hn::IfThenElseZero(hn::Gt(x, hn::Set(d, -87.0f)), scaled);
}

// Replaces the scores a row sees by weights exp(score - new maximum), zeroes the others in
// [first, keys), and rescales what the row has summed so far. `first` begins a panel.
void softmaxRow(const AttentionTile& tile, size_t row, const KeyRange& seen, size_t first,
                size_t keys) {
  const D d;
  const size_t lanes = hn::Lanes(d);
  float* scores = tile.scores + row * kScoreStride;
  if (seen.begin >= seen.end) return std::fill(scores + first, scores + keys, 0.0f);
  const size_t begin = seen.begin / lanes * lanes;
  const size_t padded = (seen.end + lanes - 1) / lanes * lanes;
  constexpr float kUnseen = -std::numeric_limits<float>::infinity();
  std::fill(scores + first, scores + begin, 0.0f);
  std::fill(scores + begin, scores + seen.begin, kUnseen);
  std::fill(scores + seen.end, scores + padded, kUnseen);
  if (padded < keys) std::fill(scores + padded, scores + keys, 0.0f);

  V top = hn::Set(d, tile.rowMax[row]);
  for (size_t i = begin; i < padded; i += lanes) top = hn::Max(top, hn::LoadU(d, scores + i));
  top = hn::MaxOfLanes(d, top);
  const float newMax = hn::GetLane(top);
  V sum = hn::Zero(d);
  for (size_t i = begin; i < padded; i += lanes) {
    const V weight = expNegative(hn::Sub(hn::LoadU(d, scores + i), top));
    hn::StoreU(weight, d, scores + i);
    sum = hn::Add(sum, weight);
  }
  const float scale = std::exp(tile.rowMax[row] - newMax);  // 0 at the first run
  tile.rowSum[row] = tile.rowSum[row] * scale + hn::GetLane(hn::SumOfLanes(d, sum));
  tile.rowMax[row] = newMax;
  if (scale == 1.0f) return;
  float* out = tile.out + row * tile.headDim;
  for (size_t i = 0; i < tile.headDim; ++i) out[i] *= scale;
}

void attendRunHere(const AttentionTile& tile, std::span<const KeyBlock> blocks,
                   const KeyRange* seen) {
  size_t first = kMaxRunKeys, keys = 0;
  for (const KeyRange& range : std::span(seen, tile.rows)) {
    if (range.begin >= range.end) continue;
    first = std::min<size_t>(first, range.begin / kKeyPanel * kKeyPanel);
    keys = std::max<size_t>(keys, range.end);
  }
  if (keys == 0) return;
  for (size_t key = first; key < keys; key += kKeyPanel) {
    const KeyBlock& block = blocks[key / kKeyBlock];
    const float* panel = block.keys + key % kKeyBlock * tile.headDim;
    product<false>(
        tile.rows, kKeyPanel,
        {tile.q, tile.headDim, panel, kKeyPanel, tile.headDim, tile.scores + key, kScoreStride});
  }
  for (size_t r = 0; r < tile.rows; ++r) softmaxRow(tile, r, seen[r], first, keys);
  for (size_t key = first; key < keys;) {
    const size_t within = key % kKeyBlock;
    const size_t count = std::min(kKeyBlock - within, keys - key);
    const float* values = blocks[key / kKeyBlock].values + within * tile.headDim;
    product<true>(
        tile.rows, tile.headDim,
        {tile.scores + key, kScoreStride, values, tile.headDim, count, tile.out, tile.headDim});
    key += count;
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace spolia::engine
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace spolia::engine {

HWY_EXPORT(attendRunHere);

void resetTile(const AttentionTile& tile) {
  std::fill(tile.out, tile.out + tile.rows * tile.headDim, 0.0f);
  std::fill(tile.rowMax, tile.rowMax + tile.rows, -std::numeric_limits<float>::infinity());
  std::fill(tile.rowSum, tile.rowSum + tile.rows, 0.0f);
}

void attendRun(const AttentionTile& tile, std::span<const KeyBlock> blocks, const KeyRange* seen) {
  SPOLIA_DCHECK(!blocks.empty() && blocks.size() <= kMaxBlocks);
  HWY_DYNAMIC_DISPATCH(attendRunHere)(tile, blocks, seen);
}

void finishTile(const AttentionTile& tile) {
  for (size_t r = 0; r < tile.rows; ++r) {
    SPOLIA_DCHECK(tile.rowSum[r] > 0);
    const float factor = 1.0f / tile.rowSum[r];
    for (size_t i = 0; i < tile.headDim; ++i) tile.out[r * tile.headDim + i] *= factor;
  }
}

}  // namespace spolia::engine
#endif
