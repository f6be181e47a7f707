#include "engine/kernels/activation.h"

#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/activation.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// Needs highway.h first.
#include <hwy/contrib/math/math-inl.h>

HWY_BEFORE_NAMESPACE();
namespace spolia::engine {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

void siluMultiplyHere(const float* gate, const float* up, size_t n, float* out) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  const auto one = hn::Set(d, 1.0f);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto g = hn::LoadU(d, gate + i);
    const auto u = hn::LoadU(d, up + i);
    const auto denominator = hn::Add(one, hn::Exp(d, hn::Neg(g)));
    hn::StoreU(hn::Mul(hn::Div(g, denominator), u), d, out + i);
  }
  for (; i < n; ++i) out[i] = gate[i] / (1.0f + std::exp(-gate[i])) * up[i];
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace spolia::engine
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace spolia::engine {

HWY_EXPORT(siluMultiplyHere);

void siluMultiply(const float* gate, const float* up, size_t n, float* out) {
  HWY_DYNAMIC_DISPATCH(siluMultiplyHere)(gate, up, n, out);
}

}  // namespace spolia::engine
#endif
