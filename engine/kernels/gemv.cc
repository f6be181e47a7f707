#include "engine/kernels/gemv.h"

#include <algorithm>

#include "engine/kernels/gemm.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/gemv.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace spolia::engine {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// Four sums hide the latency of the multiply-add (4 cycles at 2 a cycle, and loads bound it first).
float dotHere(const float* a, const float* b, size_t n) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  auto s0 = hn::Zero(d), s1 = hn::Zero(d), s2 = hn::Zero(d), s3 = hn::Zero(d);
  size_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    s0 = hn::MulAdd(hn::LoadU(d, a + i), hn::LoadU(d, b + i), s0);
    s1 = hn::MulAdd(hn::LoadU(d, a + i + lanes), hn::LoadU(d, b + i + lanes), s1);
    s2 = hn::MulAdd(hn::LoadU(d, a + i + 2 * lanes), hn::LoadU(d, b + i + 2 * lanes), s2);
    s3 = hn::MulAdd(hn::LoadU(d, a + i + 3 * lanes), hn::LoadU(d, b + i + 3 * lanes), s3);
  }
  for (; i + lanes <= n; i += lanes) {
    s0 = hn::MulAdd(hn::LoadU(d, a + i), hn::LoadU(d, b + i), s0);
  }
  float sum = hn::GetLane(hn::SumOfLanes(d, hn::Add(hn::Add(s0, s1), hn::Add(s2, s3))));
  for (; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

void multiplyRowsHere(const float* in, const MatrixView& weight, size_t first, size_t last,
                      float* out, Accumulate accumulate) {
  for (size_t row = first; row < last; ++row) {
    const float value = dotHere(in, weight.row(row), weight.columns());
    out[row] = accumulate == Accumulate::kAdd ? out[row] + value : value;
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace spolia::engine
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace spolia::engine {

HWY_EXPORT(multiplyRowsHere);

namespace {

// 64 K weights are 256 KiB, 15 us at the bandwidth of a core: large against handing out a block.
constexpr size_t kBlockWeights = 64 * 1024;

}  // namespace

void multiplyVector(const float* in, const MatrixView& weight, float* out, Accumulate accumulate,
                    ThreadPool& pool) {
  const size_t n = weight.rows();
  const size_t step = std::max<size_t>(1, kBlockWeights / std::max<size_t>(1, weight.columns()));
  pool.parallelFor((n + step - 1) / step, [&](size_t block) {
    HWY_DYNAMIC_DISPATCH(multiplyRowsHere)
    (in, weight, block * step, std::min(n, (block + 1) * step), out, accumulate);
  });
}

}  // namespace spolia::engine
#endif
