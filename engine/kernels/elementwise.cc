#include "engine/kernels/elementwise.h"

#include <cmath>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/elementwise.cc"
#include "hwy/foreach_target.h"  // must come before highway.h
#include "hwy/highway.h"
// after highway.h
#include "hwy/contrib/math/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace spolia::engine::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;

void rmsNormKernel(const float* x, const float* weight, size_t n, float eps, float* out) {
  const D d;
  const size_t lanes = hn::Lanes(d);
  auto sum = hn::Zero(d);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto v = hn::LoadU(d, x + i);
    sum = hn::MulAdd(v, v, sum);
  }
  float total = hn::GetLane(hn::SumOfLanes(d, sum));
  for (; i < n; ++i) total += x[i] * x[i];
  const float scale = 1.0f / std::sqrt(total / static_cast<float>(n) + eps);
  for (i = 0; i < n; ++i) out[i] = x[i] * scale * weight[i];
}

void siluMultiplyKernel(float* gate, const float* up, size_t n) {
  const D d;
  const size_t lanes = hn::Lanes(d);
  const auto one = hn::Set(d, 1.0f);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto g = hn::LoadU(d, gate + i);
    const auto s = hn::Div(g, hn::Add(one, hn::Exp(d, hn::Neg(g))));
    hn::StoreU(hn::Mul(s, hn::LoadU(d, up + i)), d, gate + i);
  }
  for (; i < n; ++i) gate[i] = gate[i] / (1.0f + std::exp(-gate[i])) * up[i];
}

void rotateHeadKernel(const float* x, const float* rope, size_t headDim, float* out) {
  const size_t half = headDim / 2;
  const float* cosine = rope;
  const float* sine = rope + half;
  for (size_t i = 0; i < half; ++i) {
    const float a = x[i], b = x[i + half];
    out[i] = a * cosine[i] - b * sine[i];
    out[i + half] = b * cosine[i] + a * sine[i];
  }
}

void roundToPageKernel(const float* x, size_t n, PageType type, std::byte* out) {
  if (type == PageType::kF32) {
    std::memcpy(out, x, n * sizeof(float));
  } else if (type == PageType::kF16) {
    auto* to = reinterpret_cast<_Float16*>(out);
    for (size_t i = 0; i < n; ++i) to[i] = static_cast<_Float16>(x[i]);
  } else {
    auto* to = reinterpret_cast<uint16_t*>(out);
    for (size_t i = 0; i < n; ++i) {
      uint32_t bits;
      std::memcpy(&bits, x + i, sizeof bits);
      const uint32_t rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16;
      const bool nan = (bits & 0x7FFFFFFF) > 0x7F800000;
      to[i] = static_cast<uint16_t>(nan ? (bits >> 16) | 0x40 : rounded);
    }
  }
}

void widenFromPageKernel(const std::byte* x, size_t n, PageType type, float* out) {
  if (type == PageType::kF32) {
    std::memcpy(out, x, n * sizeof(float));
  } else if (type == PageType::kF16) {
    const auto* from = reinterpret_cast<const _Float16*>(x);
    for (size_t i = 0; i < n; ++i) out[i] = static_cast<float>(from[i]);
  } else {
    const auto* from = reinterpret_cast<const uint16_t*>(x);
    for (size_t i = 0; i < n; ++i) {
      const uint32_t bits = static_cast<uint32_t>(from[i]) << 16;
      std::memcpy(out + i, &bits, sizeof bits);
    }
  }
}

}  // namespace spolia::engine::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace spolia::engine {

HWY_EXPORT(rmsNormKernel);
HWY_EXPORT(siluMultiplyKernel);
HWY_EXPORT(rotateHeadKernel);
HWY_EXPORT(roundToPageKernel);
HWY_EXPORT(widenFromPageKernel);

void rmsNorm(const float* x, const float* weight, size_t n, float eps, float* out) {
  HWY_DYNAMIC_DISPATCH(rmsNormKernel)(x, weight, n, eps, out);
}

void siluMultiply(float* gate, const float* up, size_t n) {
  HWY_DYNAMIC_DISPATCH(siluMultiplyKernel)(gate, up, n);
}

void ropeRow(uint32_t position, uint32_t headDim, double theta, float* out) {
  const uint32_t half = headDim / 2;
  for (uint32_t i = 0; i < half; ++i) {
    const double angle = position * std::pow(theta, -2.0 * i / headDim);
    out[i] = static_cast<float>(std::cos(angle));
    out[i + half] = static_cast<float>(std::sin(angle));
  }
}

void rotateHead(const float* x, const float* ropeRow, size_t headDim, float* out) {
  HWY_DYNAMIC_DISPATCH(rotateHeadKernel)(x, ropeRow, headDim, out);
}

void roundToPage(const float* x, size_t n, PageType type, std::byte* out) {
  HWY_DYNAMIC_DISPATCH(roundToPageKernel)(x, n, type, out);
}

void widenFromPage(const std::byte* x, size_t n, PageType type, float* out) {
  HWY_DYNAMIC_DISPATCH(widenFromPageKernel)(x, n, type, out);
}

}  // namespace spolia::engine
#endif  // HWY_ONCE
