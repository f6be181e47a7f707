#include "engine/kernels/norm.h"

#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/norm.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace spolia::engine {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

void rmsNormHere(const float* in, const float* weight, size_t n, float eps, float* out) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  auto squares = hn::Zero(d);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto x = hn::LoadU(d, in + i);
    squares = hn::MulAdd(x, x, squares);
  }
  float sum = hn::GetLane(hn::SumOfLanes(d, squares));
  for (; i < n; ++i) sum += in[i] * in[i];

  const float factor = 1.0f / std::sqrt(sum / static_cast<float>(n) + eps);
  const auto factors = hn::Set(d, factor);
  for (i = 0; i + lanes <= n; i += lanes) {
    const auto scaled = hn::Mul(hn::LoadU(d, in + i), factors);
    hn::StoreU(hn::Mul(scaled, hn::LoadU(d, weight + i)), d, out + i);
  }
  for (; i < n; ++i) out[i] = in[i] * factor * weight[i];
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace spolia::engine
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace spolia::engine {

HWY_EXPORT(rmsNormHere);

void rmsNorm(const float* in, const float* weight, size_t n, float eps, float* out) {
  HWY_DYNAMIC_DISPATCH(rmsNormHere)(in, weight, n, eps, out);
}

}  // namespace spolia::engine
#endif
