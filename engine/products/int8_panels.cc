#include "engine/products/int8_panels.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "codec/base/bytes.h"
#include "codec/base/check.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/products/int8_panels.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace spolia::engine {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

float largestHere(const float* in, size_t n) {
  const hn::ScalableTag<float> d;
  auto most = hn::Zero(d);
  size_t i = 0;
  for (; i + hn::Lanes(d) <= n; i += hn::Lanes(d)) {
    most = hn::Max(most, hn::Abs(hn::LoadU(d, in + i)));
  }
  float out = hn::GetLane(hn::MaxOfLanes(d, most));
  for (; i < n; ++i) out = std::max(out, std::fabs(in[i]));
  return out;
}

void quantizeHere(const float* in, size_t n, float inverse, uint8_t* out) {
  const hn::ScalableTag<float> d;
  const hn::Rebind<int32_t, decltype(d)> d32;
  const hn::Rebind<uint8_t, decltype(d)> d8;
  const auto factor = hn::Set(d, inverse);
  const auto offset = hn::Set(d32, Int8Panels::kOffset);
  size_t i = 0;
  for (; i + hn::Lanes(d) <= n; i += hn::Lanes(d)) {
    const auto rounded = hn::NearestInt(hn::Mul(hn::LoadU(d, in + i), factor));
    hn::StoreU(hn::DemoteTo(d8, hn::Add(rounded, offset)), d8, out + i);
  }
  for (; i < n; ++i) {
    const float value = std::nearbyint(in[i] * inverse) + static_cast<float>(Int8Panels::kOffset);
    out[i] = static_cast<uint8_t>(value);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace spolia::engine
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace spolia::engine {

HWY_EXPORT(largestHere);
HWY_EXPORT(quantizeHere);

namespace {

constexpr float kLargest = 127.0f;

// 1 / (largest / 127), and nothing where that is no number: a row of zeros, or next to it.
float inverseOf(float scale) {
  const float inverse = 1.0f / scale;
  return std::isfinite(inverse) ? inverse : 0.0f;
}

}  // namespace

float quantizeInputs(const float* in, size_t n, uint8_t* out, size_t padded) {
  const float scale = HWY_DYNAMIC_DISPATCH(largestHere)(in, n) / kLargest;
  const float inverse = inverseOf(scale);
  HWY_DYNAMIC_DISPATCH(quantizeHere)(in, n, inverse, out);
  std::memset(out + n, Int8Panels::kOffset, padded - n);
  return inverse == 0.0f ? 0.0f : scale;
}

Int8Panels::Int8Panels(size_t outputs, size_t inputs)
    : paddedInputs_(roundUp(inputs, kInputs)),
      values_(AlignedBuffer::zeroed(roundUp(outputs, kOutputs) * paddedInputs_)),
      factors_(AlignedBuffer::zeroed(roundUp(outputs, kOutputs) * sizeof(Factors))) {}

size_t Int8Panels::bytesFor(size_t outputs, size_t inputs) {
  return roundUp(outputs, kOutputs) * (roundUp(inputs, kInputs) + sizeof(Factors));
}

size_t Int8Panels::indexOf(size_t output, size_t input) const {
  return output / kOutputs * kOutputs * paddedInputs_ + input / 4 * kOutputs * 4 +
         output % kOutputs * 4 + input % 4;
}

void Int8Panels::setRow(size_t output, const float* weights, size_t inputs) {
  const float scale = HWY_DYNAMIC_DISPATCH(largestHere)(weights, inputs) / kLargest;
  const float inverse = inverseOf(scale);
  auto* values = reinterpret_cast<int8_t*>(values_.data());
  int32_t sum = 0;
  for (size_t input = 0; input < inputs; ++input) {
    const auto q = static_cast<int8_t>(std::nearbyint(weights[input] * inverse));
    values[indexOf(output, input)] = q;
    sum += q;
  }
  reinterpret_cast<Factors*>(factors_.data())[output] = {inverse == 0.0f ? 0.0f : scale,
                                                         sum * kOffset};
}

const int8_t* Int8Panels::panel(size_t index) const {
  return reinterpret_cast<const int8_t*>(values_.data()) + index * kOutputs * paddedInputs_;
}

void Int8Panels::copyRow(size_t output, size_t inputs, float* out) const {
  const auto* values = reinterpret_cast<const int8_t*>(values_.data());
  const float factor = scale(output);
  for (size_t input = 0; input < inputs; ++input) {
    out[input] = factor * static_cast<float>(values[indexOf(output, input)]);
  }
}

}  // namespace spolia::engine
#endif
