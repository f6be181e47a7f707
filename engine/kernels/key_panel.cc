#include "engine/kernels/key_panel.h"

#include "engine/kernels/attention_kernel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/key_panel.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace spolia::engine {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET != HWY_SCALAR
// A 4 x 4 block: rows `stride` apart become columns of `out`.
HWY_INLINE void transposeBlock(const float* in, size_t stride, float* out) {
  const hn::FixedTag<float, 4> d;
  const hn::FixedTag<double, 2> pairs;
  const auto r0 = hn::LoadU(d, in), r1 = hn::LoadU(d, in + stride);
  const auto r2 = hn::LoadU(d, in + 2 * stride), r3 = hn::LoadU(d, in + 3 * stride);
  const auto low01 = hn::BitCast(pairs, hn::InterleaveLower(d, r0, r1));
  const auto low23 = hn::BitCast(pairs, hn::InterleaveLower(d, r2, r3));
  const auto high01 = hn::BitCast(pairs, hn::InterleaveUpper(d, r0, r1));
  const auto high23 = hn::BitCast(pairs, hn::InterleaveUpper(d, r2, r3));
  const auto store = [&](auto column, size_t index) {
    hn::StoreU(hn::BitCast(d, column), d, out + index * kKeyPanel);
  };
  store(hn::InterleaveLower(pairs, low01, low23), 0);
  store(hn::InterleaveUpper(pairs, low01, low23), 1);
  store(hn::InterleaveLower(pairs, high01, high23), 2);
  store(hn::InterleaveUpper(pairs, high01, high23), 3);
}
#endif

void transposePanelHere(const float* rows, size_t headDim, float* panel) {
  size_t i = 0;
#if HWY_TARGET != HWY_SCALAR
  for (; i + 4 <= headDim; i += 4) {
    for (size_t row = 0; row < kKeyPanel; row += 4) {
      transposeBlock(rows + row * headDim + i, headDim, panel + i * kKeyPanel + row);
    }
  }
#endif
  for (; i < headDim; ++i) {
    for (size_t row = 0; row < kKeyPanel; ++row) {
      panel[i * kKeyPanel + row] = rows[row * headDim + i];
    }
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace spolia::engine
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace spolia::engine {

HWY_EXPORT(transposePanelHere);

void transposePanel(const float* rows, size_t headDim, float* panel) {
  HWY_DYNAMIC_DISPATCH(transposePanelHere)(rows, headDim, panel);
}

}  // namespace spolia::engine
#endif
