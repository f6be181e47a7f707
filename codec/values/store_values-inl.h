// Vectors of f32 to element types and from them, for the target that is being compiled: included
// once for each, by files that are.
#if defined(SPOLIA_CODEC_VALUES_STORE_VALUES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SPOLIA_CODEC_VALUES_STORE_VALUES_INL_H_
#undef SPOLIA_CODEC_VALUES_STORE_VALUES_INL_H_
#else
#define SPOLIA_CODEC_VALUES_STORE_VALUES_INL_H_
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <bit>
#include <cfloat>
#include <cstring>

#include "codec/kv_layout.h"
#include "codec/values/half.h"

#undef SPOLIA_F16_INSTRUCTIONS
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
#define SPOLIA_F16_INSTRUCTIONS 1
#else
#define SPOLIA_F16_INSTRUCTIONS 0
#endif

HWY_BEFORE_NAMESPACE();
namespace spolia::codec {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::ScalableTag<float>;
using Integers = hn::RebindToSigned<Floats>;
using Halves = hn::Rebind<uint16_t, Floats>;

template <ElementType kType>
constexpr float limitOf() {
  return kType == ElementType::kF16    ? kMaxF16
         : kType == ElementType::kBf16 ? std::bit_cast<float>(kMaxBf16Bits << 16)
                                       : FLT_MAX;
}

// f16FromF32() of half.h.
template <typename V>
HWY_INLINE void storeF16(V value, std::byte* to) {
#if SPOLIA_F16_INSTRUCTIONS
  const hn::Rebind<hwy::float16_t, Floats> d;
  hn::StoreU(hn::DemoteTo(d, value), d, reinterpret_cast<hwy::float16_t*>(to));
#else
  const Floats f;
  const Integers d;
  const auto bits = hn::BitCast(d, value);
  const auto magnitude = hn::And(bits, hn::Set(d, 0x7fffffff));
  const auto odd = hn::And(hn::ShiftRight<13>(magnitude), hn::Set(d, 1));
  const auto normal =
      hn::ShiftRight<13>(hn::Add(magnitude, hn::Add(odd, hn::Set(d, 0xfff - (112 << 23)))));
  const auto rounded = hn::Add(hn::BitCast(f, magnitude), hn::Set(f, 0.5f));
  const auto subnormal = hn::Sub(hn::BitCast(d, rounded), hn::Set(d, 0x3f000000));
  const auto finite = hn::IfThenElse(hn::Lt(magnitude, hn::Set(d, 113 << 23)), subnormal, normal);
  const auto sign = hn::And(hn::ShiftRight<16>(bits), hn::Set(d, 0x8000));
  hn::StoreU(hn::DemoteTo(Halves(), hn::Or(finite, sign)), Halves(),
             reinterpret_cast<uint16_t*>(to));
#endif
}

// bf16FromF32() of half.h.
template <typename V>
HWY_INLINE void storeBf16(V value, std::byte* to) {
  const hn::RebindToUnsigned<Floats> d;
  const auto bits = hn::BitCast(d, value);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(d, 1));
  const auto rounded = hn::ShiftRight<16>(hn::Add(bits, hn::Add(odd, hn::Set(d, 0x7fff))));
  hn::StoreU(hn::DemoteTo(Halves(), hn::BitCast(Integers(), rounded)), Halves(),
             reinterpret_cast<uint16_t*>(to));
}

template <ElementType kType>
void storeOne(float value, std::byte* to) {
  if constexpr (kType == ElementType::kF32) {
    std::memcpy(to, &value, sizeof value);
  } else {
    const uint16_t half = kType == ElementType::kF16 ? f16FromF32(value) : bf16FromF32(value);
    std::memcpy(to, &half, sizeof half);
  }
}

// A vector of values and one value, bounded by the largest finite one of the type.
template <ElementType kType, typename V>
HWY_INLINE void storeBounded(V raw, std::byte* to) {
  const Floats f;
  const auto limit = hn::Set(f, limitOf<kType>());
  const auto value = hn::Max(hn::Neg(limit), hn::Min(raw, limit));
  if constexpr (kType == ElementType::kF32) {
    hn::StoreU(value, f, reinterpret_cast<float*>(to));
  } else if constexpr (kType == ElementType::kF16) {
    storeF16(value, to);
  } else {
    storeBf16(value, to);
  }
}
template <ElementType kType>
void storeOneBounded(float raw, std::byte* to) {
  constexpr float kLimit = limitOf<kType>();
  storeOne<kType>(std::max(-kLimit, std::min(raw, kLimit)), to);
}

template <ElementType kType>
float loadOne(const std::byte* from) {
  if constexpr (kType == ElementType::kF32) {
    float value;
    std::memcpy(&value, from, sizeof value);
    return value;
  } else {
    uint16_t half;
    std::memcpy(&half, from, sizeof half);
    return kType == ElementType::kF16 ? f32FromF16(half) : f32FromBf16(half);
  }
}

// A vector of values.
template <ElementType kType>
HWY_INLINE hn::Vec<Floats> loadValues(const std::byte* from) {
  const Floats f;
  if constexpr (kType == ElementType::kF32) {
    return hn::LoadU(f, reinterpret_cast<const float*>(from));
  } else if constexpr (kType == ElementType::kBf16) {
    const auto halves = hn::LoadU(Halves(), reinterpret_cast<const uint16_t*>(from));
    return hn::BitCast(f, hn::ShiftLeft<16>(hn::PromoteTo(Integers(), halves)));
  } else {
#if SPOLIA_F16_INSTRUCTIONS
    const hn::Rebind<hwy::float16_t, Floats> halves;
    return hn::PromoteTo(f, hn::LoadU(halves, reinterpret_cast<const hwy::float16_t*>(from)));
#else
    alignas(64) float values[hn::MaxLanes(Floats())];
    for (size_t i = 0; i < hn::Lanes(f); ++i) values[i] = loadOne<kType>(from + i * 2);
    return hn::Load(f, values);
#endif
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace spolia::codec
HWY_AFTER_NAMESPACE();

#endif  // SPOLIA_CODEC_VALUES_STORE_VALUES_INL_H_
