// Compiled without contraction of a product and a sum into one operation: all targets would not
// round alike then.
#include "codec/values/step_columns.h"

#include <algorithm>
#include <bit>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "codec/values/step_columns.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#ifndef SPOLIA_CODEC_STEP_COLUMNS_ONCE
#define SPOLIA_CODEC_STEP_COLUMNS_ONCE
namespace spolia::codec {
namespace {

// Rows that are added up before they join the sum of all: many small numbers added to a large one
// would lose what they say.
constexpr uint32_t kSumRows = 128;
// Vectors of columns at a time: their sums stay in registers, and rows are read by cache lines.
constexpr size_t kSumVectors = 4;

}  // namespace
}  // namespace spolia::codec
#endif

HWY_BEFORE_NAMESPACE();
namespace spolia::codec {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::ScalableTag<float>;
using Integers = hn::RebindToSigned<Floats>;

float largestHere(const ValueMatrix& matrix) {
  uint32_t most = 0;
  for (uint32_t row = 0; row < matrix.rows; ++row) {
    const float* at = matrix.values + row * matrix.stride;
    for (uint32_t c = 0; c < matrix.columns; ++c) {
      most = std::max(most, std::bit_cast<uint32_t>(at[c]) & 0x7fffffff);
    }
  }
  return std::bit_cast<float>(most);
}

// kVectors vectors of columns from `column` on.
template <size_t kVectors, class D>
HWY_INLINE void sumRows(D d, const ValueMatrix& matrix, size_t column, float* mean) {
  const size_t lanes = hn::Lanes(d);
  hn::Vec<D> all[kVectors];
  for (auto& v : all) v = hn::Zero(d);
  for (uint32_t first = 0; first < matrix.rows; first += kSumRows) {
    hn::Vec<D> sum[kVectors];
    for (auto& v : sum) v = hn::Zero(d);
    const uint32_t end = std::min(matrix.rows, first + kSumRows);
    const float* at = matrix.values + first * matrix.stride + column;
    for (uint32_t row = first; row < end; ++row, at += matrix.stride) {
      for (size_t v = 0; v < kVectors; ++v) {
        sum[v] = hn::Add(sum[v], hn::LoadU(d, at + v * lanes));
      }
    }
    for (size_t v = 0; v < kVectors; ++v) all[v] = hn::Add(all[v], sum[v]);
  }
  const auto count = hn::Set(d, static_cast<float>(matrix.rows));
  for (size_t v = 0; v < kVectors; ++v) {
    hn::StoreU(hn::Div(all[v], count), d, mean + column + v * lanes);
  }
}

template <size_t kVectors, class D>
HWY_INLINE void sumDistances(D d, const ValueMatrix& matrix, size_t column, const float* mean,
                             float* deviation, float* farthest) {
  const size_t lanes = hn::Lanes(d);
  hn::Vec<D> middle[kVectors], all[kVectors], most[kVectors];
  for (size_t v = 0; v < kVectors; ++v) {
    middle[v] = hn::LoadU(d, mean + column + v * lanes);
    all[v] = most[v] = hn::Zero(d);
  }
  for (uint32_t first = 0; first < matrix.rows; first += kSumRows) {
    hn::Vec<D> sum[kVectors];
    for (auto& v : sum) v = hn::Zero(d);
    const uint32_t end = std::min(matrix.rows, first + kSumRows);
    const float* at = matrix.values + first * matrix.stride + column;
    for (uint32_t row = first; row < end; ++row, at += matrix.stride) {
      for (size_t v = 0; v < kVectors; ++v) {
        const auto distance = hn::Abs(hn::Sub(hn::LoadU(d, at + v * lanes), middle[v]));
        sum[v] = hn::Add(sum[v], distance);
        most[v] = hn::Max(most[v], distance);
      }
    }
    for (size_t v = 0; v < kVectors; ++v) all[v] = hn::Add(all[v], sum[v]);
  }
  const auto count = hn::Set(d, static_cast<float>(matrix.rows));
  for (size_t v = 0; v < kVectors; ++v) {
    hn::StoreU(hn::Div(all[v], count), d, deviation + column + v * lanes);
    hn::StoreU(most[v], d, farthest + column + v * lanes);
  }
}

// visit(d, vectors, column) for all columns, in as few runs as there are.
template <typename Visit>
HWY_INLINE void forColumns(uint32_t columns, Visit visit) {
  const Floats d;
  const hn::CappedTag<float, 1> one;
  const size_t lanes = hn::Lanes(d);
  size_t c = 0;
  for (; c + kSumVectors * lanes <= columns; c += kSumVectors * lanes) {
    visit.template operator()<kSumVectors>(d, c);
  }
  for (; c + lanes <= columns; c += lanes) visit.template operator()<1>(d, c);
  for (; c < columns; ++c) visit.template operator()<1>(one, c);
}

void measureHere(const ValueMatrix& matrix, float* mean, float* deviation, float* farthest) {
  forColumns(matrix.columns,
             [&]<size_t kVectors>(auto d, size_t c) { sumRows<kVectors>(d, matrix, c, mean); });
  forColumns(matrix.columns, [&]<size_t kVectors>(auto d, size_t c) {
    sumDistances<kVectors>(d, matrix, c, mean, deviation, farthest);
  });
}

void quantiseHere(const ValueMatrix& matrix, const float* inverse, const int32_t* offset,
                  int16_t* to, size_t toStride) {
  // One run of columns is as wide as every target's smallest vector.
  const hn::CappedTag<float, kStepGroup> f;
  const hn::RebindToSigned<decltype(f)> d;
  const hn::Rebind<int16_t, decltype(f)> narrow;
  const size_t lanes = hn::Lanes(f);
  for (size_t c = 0; c < matrix.columns; c += lanes) {
    const auto factor = hn::LoadU(f, inverse + c);
    const auto base = hn::LoadU(d, offset + c);
    const float* at = matrix.values + c;
    int16_t* out = to + c / kStepGroup * toStride + c % kStepGroup;
    for (uint32_t row = 0; row < matrix.rows; ++row, at += matrix.stride, out += kStepGroup) {
      const auto steps = hn::NearestInt(hn::Mul(hn::LoadU(f, at), factor));
      hn::StoreU(hn::DemoteTo(narrow, hn::Sub(steps, base)), narrow, out);
    }
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace spolia::codec
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace spolia::codec {

HWY_EXPORT(largestHere);
HWY_EXPORT(measureHere);
HWY_EXPORT(quantiseHere);

float largestMagnitude(const ValueMatrix& matrix) {
  return HWY_DYNAMIC_DISPATCH(largestHere)(matrix);
}

void measureColumns(const ValueMatrix& matrix, float* mean, float* deviation, float* farthest) {
  HWY_DYNAMIC_DISPATCH(measureHere)(matrix, mean, deviation, farthest);
}

void quantiseColumns(const ValueMatrix& matrix, const float* inverse, const int32_t* offset,
                     int16_t* to, size_t toStride) {
  HWY_DYNAMIC_DISPATCH(quantiseHere)(matrix, inverse, offset, to, toStride);
}

}  // namespace spolia::codec
#endif
