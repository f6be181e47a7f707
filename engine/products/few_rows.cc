#include "engine/products/few_rows.h"

#include <algorithm>
#include <cstring>

#include "codec/base/check.h"
#include "engine/products/scratch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/products/few_rows.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace spolia::engine {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::CappedTag<float, 16>;
using V = hn::Vec<D>;

constexpr size_t kPanel = WeightMatrix::kPanelOutputs;
constexpr size_t kLanes = hn::MaxLanes(D());

// Registers for sums: 16 of 32, 8 of 16.
constexpr size_t kSums = HWY_TARGET <= HWY_AVX3 ? 16 : 8;

// in, part of `inputs` columns from `column` on; panel begins at that input.
struct Slice {
  const MatrixView& in;
  size_t column, inputs;
  const float* panel;  // [inputs][64]
  float* sums;         // [rows][64], added to
};

// kRows rows from `row` on and kVectors vectors of outputs from `output` on. Arrays of vectors of
// constant bounds are unrolled into registers.
template <size_t kRows, size_t kVectors>
HWY_INLINE void addTile(const Slice& slice, size_t row, size_t output) {
  const D d;
  V sums[kRows][kVectors];
  const float* in[kRows];
#pragma GCC unroll 8
  for (size_t r = 0; r < kRows; ++r) {
    in[r] = slice.in.row(row + r) + slice.column;
#pragma GCC unroll 8
    for (size_t v = 0; v < kVectors; ++v) {
      sums[r][v] = hn::LoadU(d, slice.sums + (row + r) * kPanel + output + v * kLanes);
    }
  }
  const float* weights = slice.panel + output;
  for (size_t i = 0; i < slice.inputs; ++i, weights += kPanel) {
    V weight[kVectors];
#pragma GCC unroll 8
    for (size_t v = 0; v < kVectors; ++v) weight[v] = hn::LoadU(d, weights + v * kLanes);
#pragma GCC unroll 8
    for (size_t r = 0; r < kRows; ++r) {
      const V value = hn::Set(d, in[r][i]);
#pragma GCC unroll 8
      for (size_t v = 0; v < kVectors; ++v) {
        sums[r][v] = hn::MulAdd(value, weight[v], sums[r][v]);
      }
    }
  }
#pragma GCC unroll 8
  for (size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (size_t v = 0; v < kVectors; ++v) {
      hn::StoreU(sums[r][v], d, slice.sums + (row + r) * kPanel + output + v * kLanes);
    }
  }
}

template <size_t kRows>
HWY_INLINE void addRows(const Slice& slice, size_t row) {
  constexpr size_t kAll = kPanel / kLanes;
  constexpr size_t kFit = kSums / kRows == 0 ? 1 : kSums / kRows;
  constexpr size_t kVectors = kFit < kAll ? kFit : kAll;
  constexpr size_t kTileOutputs = kVectors * kLanes;
  static_assert(kPanel % kTileOutputs == 0);
  for (size_t output = 0; output < kPanel; output += kTileOutputs) {
    addTile<kRows, kVectors>(slice, row, output);
  }
}

void addSliceHere(const MatrixView& in, size_t column, size_t inputs, const float* panel,
                  float* sums) {
  const Slice slice{in, column, inputs, panel, sums};
  size_t row = 0;
  const size_t rows = in.rows();
  for (; row + 8 <= rows; row += 8) addRows<8>(slice, row);
  for (; row + 4 <= rows; row += 4) addRows<4>(slice, row);
  for (; row + 2 <= rows; row += 2) addRows<2>(slice, row);
  for (; row < rows; ++row) addRows<1>(slice, row);
}

// Dot products of one row of weights with every row of `in`.
void dotRowsHere(const MatrixView& in, size_t column, const float* weights, size_t count,
                 float* sums) {
  const D d;
  for (size_t r = 0; r < in.rows(); ++r) {
    const float* row = in.row(r) + column;
    V s0 = hn::Zero(d), s1 = hn::Zero(d);
    for (size_t i = 0; i + 2 * kLanes <= count; i += 2 * kLanes) {
      s0 = hn::MulAdd(hn::LoadU(d, row + i), hn::LoadU(d, weights + i), s0);
      s1 = hn::MulAdd(hn::LoadU(d, row + i + kLanes), hn::LoadU(d, weights + i + kLanes), s1);
    }
    sums[r * kPanel] += hn::GetLane(hn::SumOfLanes(d, hn::Add(s0, s1)));
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace spolia::engine
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace spolia::engine {

HWY_EXPORT(addSliceHere);
HWY_EXPORT(dotRowsHere);

namespace {

// Inputs of a panel that are widened at a time: 64 of them are 16 KiB, which stay in L1.
constexpr size_t kSliceInputs = 64;
// Values of a row of blocks that are widened at a time: a multiple of every block's length.
constexpr size_t kSliceBlocks = 256;

}  // namespace

void multiplyFewRows(const MatrixView& in, const WeightMatrix& weight, size_t index, float* sums) {
  constexpr size_t kPanel = WeightMatrix::kPanelOutputs;
  SPOLIA_DCHECK(in.rows() <= kFewRows && in.columns() == weight.inputs());
  std::fill_n(sums, in.rows() * kPanel, 0.0f);
  const size_t inputs = weight.inputs();
  if (weight.type() == WeightType::kF32) {
    HWY_DYNAMIC_DISPATCH(addSliceHere)(in, 0, inputs, weight.panel(index, nullptr), sums);
    return;
  }
  if (weight.inPanels()) {
    float* slice = scratchFloats(ScratchUser::kSlice, kSliceInputs * kPanel);
    const std::byte* panel = weight.panelBytes(index);
    for (size_t first = 0; first < inputs; first += kSliceInputs) {
      const size_t count = std::min(kSliceInputs, inputs - first);
      widen(weight.type(), panel + storedBytes(weight.type(), first * kPanel), count * kPanel,
            slice);
      HWY_DYNAMIC_DISPATCH(addSliceHere)(in, first, count, slice, sums);
    }
    return;
  }
  float* slice = scratchFloats(ScratchUser::kSlice, kSliceBlocks);
  const size_t last = std::min(weight.outputs(), (index + 1) * kPanel);
  for (size_t output = index * kPanel; output < last; ++output) {
    for (size_t first = 0; first < inputs; first += kSliceBlocks) {
      const size_t count = std::min(kSliceBlocks, inputs - first);
      weight.widenBlocks(output, first, count, slice);
      HWY_DYNAMIC_DISPATCH(dotRowsHere)(in, first, slice, count, sums + output % kPanel);
    }
  }
}

}  // namespace spolia::engine
#endif
