#include "engine/products/few_rows.h"

#include <algorithm>

#include "codec/base/check.h"
#include "engine/kernels/quant_blocks.h"
#include "engine/products/block_panels.h"
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
template <typename T>
struct Slice {
  const MatrixView& in;
  size_t column, inputs;
  const T* panel;  // [inputs][64]
  float* sums;     // [rows][64], added to
};

// A vector of weights as f32; 16 bits without a type are bf16.
HWY_INLINE V loadWeights(const float* from) {
  return hn::LoadU(D(), from);
}
HWY_INLINE V loadWeights(const uint16_t* from) {
  const hn::RebindToUnsigned<D> d;
  const hn::Rebind<uint16_t, decltype(d)> d16;
  return hn::BitCast(D(), hn::ShiftLeft<16>(hn::PromoteTo(d, hn::LoadU(d16, from))));
}
// Without the instruction Highway's emulation is wrong for infinities.
#if HWY_TARGET <= HWY_AVX2
HWY_INLINE V loadWeights(const hwy::float16_t* from) {
  return hn::PromoteTo(D(), hn::LoadU(hn::Rebind<hwy::float16_t, D>(), from));
}
#endif

// kRows rows from `row` on and kVectors vectors of outputs from `output` on. Arrays of vectors of
// constant bounds are unrolled into registers.
template <size_t kRows, size_t kVectors, typename T>
HWY_INLINE void addTile(const Slice<T>& slice, size_t row, size_t output) {
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
  const T* weights = slice.panel + output;
  for (size_t i = 0; i < slice.inputs; ++i, weights += kPanel) {
    V weight[kVectors];
#pragma GCC unroll 8
    for (size_t v = 0; v < kVectors; ++v) weight[v] = loadWeights(weights + v * kLanes);
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

template <size_t kRows, typename T>
HWY_INLINE void addRows(const Slice<T>& slice, size_t row) {
  constexpr size_t kAll = kPanel / kLanes;
  constexpr size_t kFit = kSums / kRows == 0 ? 1 : kSums / kRows;
  constexpr size_t kVectors = kFit < kAll ? kFit : kAll;
  constexpr size_t kTileOutputs = kVectors * kLanes;
  static_assert(kPanel % kTileOutputs == 0);
  for (size_t output = 0; output < kPanel; output += kTileOutputs) {
    addTile<kRows, kVectors>(slice, row, output);
  }
}

template <typename T>
void addSlice(const Slice<T>& slice) {
  size_t row = 0;
  const size_t rows = slice.in.rows();
  for (; row + 8 <= rows; row += 8) addRows<8>(slice, row);
  for (; row + 4 <= rows; row += 4) addRows<4>(slice, row);
  for (; row + 2 <= rows; row += 2) addRows<2>(slice, row);
  for (; row < rows; ++row) addRows<1>(slice, row);
}

// Inputs of a panel of f16 that are widened at a time where the processor cannot do it in passing:
// 64 of them are 16 KiB, which stay in L1.
[[maybe_unused]] constexpr size_t kSliceInputs = 64;

// A whole panel, [in.columns()][64] of `type`.
void addPanelHere(const MatrixView& in, WeightType type, const std::byte* panel, float* sums) {
  const size_t inputs = in.columns();
  if (type == WeightType::kF32) {
    addSlice(Slice<float>{in, 0, inputs, reinterpret_cast<const float*>(panel), sums});
  } else if (type == WeightType::kBf16) {
    addSlice(Slice<uint16_t>{in, 0, inputs, reinterpret_cast<const uint16_t*>(panel), sums});
  } else {
#if HWY_TARGET <= HWY_AVX2
    const auto* values = reinterpret_cast<const hwy::float16_t*>(panel);
    addSlice(Slice<hwy::float16_t>{in, 0, inputs, values, sums});
#else
    float* slice = scratchFloats(ScratchUser::kSlice, kSliceInputs * kPanel);
    for (size_t first = 0; first < inputs; first += kSliceInputs) {
      const size_t count = std::min(kSliceInputs, inputs - first);
      dequantize(type, panel + storedBytes(type, first * kPanel), count * kPanel, slice);
      addSlice(Slice<float>{in, first, count, slice, sums});
    }
#endif
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace spolia::engine
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace spolia::engine {

HWY_EXPORT(addPanelHere);

void multiplyFewRows(const MatrixView& in, const WeightMatrix& weight, size_t index, float* sums) {
  SPOLIA_DCHECK(in.rows() <= kFewRows && in.columns() == weight.inputs());
  std::fill_n(sums, in.rows() * WeightMatrix::kPanelOutputs, 0.0f);
  const std::byte* panel = weight.panelBytes(index);
  if (blockValues(weight.type()) > 1) return addBlockPanel(in, weight.type(), panel, sums);
  HWY_DYNAMIC_DISPATCH(addPanelHere)(in, weight.type(), panel, sums);
}

}  // namespace spolia::engine
#endif
