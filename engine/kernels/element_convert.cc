#include "engine/kernels/element_convert.h"

#include <bit>
#include <cstring>

#include "engine/kernels/reference.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/element_convert.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace spolia::engine {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::ScalableTag<float>;

uint16_t loadBits(const std::byte* in, size_t i) {
  uint16_t bits;
  std::memcpy(&bits, in + 2 * i, 2);
  return bits;
}

void storeBits(uint16_t bits, std::byte* out, size_t i) {
  std::memcpy(out + 2 * i, &bits, 2);
}

void widenF16Here(const std::byte* in, size_t n, float* out) {
  const D d;
  const hn::Rebind<hwy::float16_t, D> d16;
  const auto* source = reinterpret_cast<const hwy::float16_t*>(in);
  size_t i = 0;
// Without the instruction the emulation of Highway 1.0.3 is wrong for infinities.
#if HWY_TARGET <= HWY_AVX2
  for (; i + hn::Lanes(d) <= n; i += hn::Lanes(d)) {
    hn::StoreU(hn::PromoteTo(d, hn::LoadU(d16, source + i)), d, out + i);
  }
#else
  (void)d, (void)d16, (void)source;
#endif
  for (; i < n; ++i) out[i] = reference::widenF16(loadBits(in, i));
}

void narrowF16Here(const float* in, size_t n, std::byte* out) {
  const D d;
  const hn::Rebind<hwy::float16_t, D> d16;
  auto* target = reinterpret_cast<hwy::float16_t*>(out);
  size_t i = 0;
// Without the instruction the emulation truncates.
#if HWY_TARGET <= HWY_AVX2
  for (; i + hn::Lanes(d) <= n; i += hn::Lanes(d)) {
    hn::StoreU(hn::DemoteTo(d16, hn::LoadU(d, in + i)), d16, target + i);
  }
#else
  (void)d, (void)d16, (void)target;
#endif
  for (; i < n; ++i) storeBits(reference::narrowF16(in[i]), out, i);
}

void widenBf16Here(const std::byte* in, size_t n, float* out) {
  const hn::ScalableTag<uint32_t> d;
  const hn::Rebind<uint16_t, decltype(d)> d16;
  const auto* source = reinterpret_cast<const uint16_t*>(in);
  auto* target = reinterpret_cast<uint32_t*>(out);
  size_t i = 0;
  for (; i + hn::Lanes(d) <= n; i += hn::Lanes(d)) {
    const auto bits = hn::PromoteTo(d, hn::LoadU(d16, source + i));
    hn::StoreU(hn::ShiftLeft<16>(bits), d, target + i);
  }
  for (; i < n; ++i) out[i] = reference::widenBf16(loadBits(in, i));
}

void narrowBf16Here(const float* in, size_t n, std::byte* out) {
  const D df;
  const hn::RebindToUnsigned<D> d;
  const hn::Rebind<uint16_t, decltype(d)> d16;
  auto* target = reinterpret_cast<uint16_t*>(out);
  size_t i = 0;
  for (; i + hn::Lanes(d) <= n; i += hn::Lanes(d)) {
    const auto value = hn::LoadU(df, in + i);
    const auto bits = hn::BitCast(d, value);
    const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(d, 1));
    const auto rounded = hn::Add(hn::Add(bits, hn::Set(d, 0x7fff)), odd);
    const auto quietNan = hn::Or(bits, hn::Set(d, 0x400000));
    const auto isNan = hn::MaskFromVec(hn::BitCast(d, hn::VecFromMask(df, hn::IsNaN(value))));
    const auto kept = hn::IfThenElse(isNan, quietNan, rounded);
    hn::StoreU(hn::TruncateTo(d16, hn::ShiftRight<16>(kept)), d16, target + i);
  }
  for (; i < n; ++i) storeBits(reference::narrowBf16(in[i]), out, i);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace spolia::engine
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace spolia::engine {

HWY_EXPORT(widenF16Here);
HWY_EXPORT(widenBf16Here);
HWY_EXPORT(narrowF16Here);
HWY_EXPORT(narrowBf16Here);

void widenF16(const std::byte* in, size_t n, float* out) {
  HWY_DYNAMIC_DISPATCH(widenF16Here)(in, n, out);
}

void widenBf16(const std::byte* in, size_t n, float* out) {
  HWY_DYNAMIC_DISPATCH(widenBf16Here)(in, n, out);
}

void narrowF16(const float* in, size_t n, std::byte* out) {
  HWY_DYNAMIC_DISPATCH(narrowF16Here)(in, n, out);
}

void narrowBf16(const float* in, size_t n, std::byte* out) {
  HWY_DYNAMIC_DISPATCH(narrowBf16Here)(in, n, out);
}

}  // namespace spolia::engine
#endif
