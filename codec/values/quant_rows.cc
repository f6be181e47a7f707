// Compiled without contraction of a product and a sum into one operation: all targets would not
// round alike then.
#include "codec/values/quant_rows.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "codec/values/quant_rows.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "codec/values/store_values-inl.h"

HWY_BEFORE_NAMESPACE();
namespace spolia::codec {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

using Bytes8 = hn::Rebind<uint8_t, Floats>;

template <ElementType kType>
void restore(const uint8_t* symbols, const float* offset, const float* step, size_t count,
             std::byte* to) {
  const Floats f;
  const Integers d;
  const size_t lanes = hn::Lanes(f);
  const size_t element = elementSize(kType);
  size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const auto symbol = hn::PromoteTo(d, hn::LoadU(Bytes8(), symbols + i));
    const auto steps = hn::ConvertTo(f, hn::Sub(symbol, hn::Set(d, kQuantMiddle)));
    const auto raw = hn::Add(hn::LoadU(f, offset + i), hn::Mul(hn::LoadU(f, step + i), steps));
    storeBounded<kType>(raw, to + i * element);
  }
  for (; i < count; ++i) {
    const float raw = offset[i] + step[i] * static_cast<float>(symbols[i] - kQuantMiddle);
    storeOneBounded<kType>(raw, to + i * element);
  }
}

void restoreHere(const uint8_t* symbols, const float* offset, const float* step, size_t count,
                 ElementType type, std::byte* to) {
  switch (type) {
    case ElementType::kF32:
      return restore<ElementType::kF32>(symbols, offset, step, count, to);
    case ElementType::kF16:
      return restore<ElementType::kF16>(symbols, offset, step, count, to);
    case ElementType::kBf16:
      return restore<ElementType::kBf16>(symbols, offset, step, count, to);
  }
}

template <ElementType kType>
void scale(const float* values, const float* base, const float* factor, size_t count,
           std::byte* to) {
  const Floats f;
  const size_t lanes = hn::Lanes(f);
  const size_t element = elementSize(kType);
  size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const auto raw = hn::Add(hn::LoadU(f, base + i),
                             hn::Mul(hn::LoadU(f, factor + i), hn::LoadU(f, values + i)));
    storeBounded<kType>(raw, to + i * element);
  }
  for (; i < count; ++i) {
    const float raw = base[i] + factor[i] * values[i];
    storeOneBounded<kType>(raw, to + i * element);
  }
}

template <ElementType kType>
void scaleOnto(const float* values, const float* base, const float* factor, size_t count,
               std::byte* to) {
  // In short runs, so that what is there fits beside what comes.
  constexpr size_t kRun = 64;
  float there[kRun];
  for (size_t i = 0; i < count; i += kRun) {
    const size_t run = std::min(kRun, count - i);
    std::byte* at = to + i * elementSize(kType);
    for (size_t k = 0; k < run; ++k) {
      there[k] = loadOne<kType>(at + k * elementSize(kType)) + base[i + k];
    }
    scale<kType>(values + i, there, factor + i, run, at);
  }
}

void scaleHere(const float* values, const float* base, const float* factor, size_t count, bool add,
               ElementType type, std::byte* to) {
  const auto as = [&]<ElementType kType>() {
    add ? scaleOnto<kType>(values, base, factor, count, to)
        : scale<kType>(values, base, factor, count, to);
  };
  switch (type) {
    case ElementType::kF32:
      return as.template operator()<ElementType::kF32>();
    case ElementType::kF16:
      return as.template operator()<ElementType::kF16>();
    case ElementType::kBf16:
      return as.template operator()<ElementType::kBf16>();
  }
}

void quantiseHere(const float* values, const float* offset, const float* divisor, size_t count,
                  uint8_t* symbols) {
  const Floats f;
  const Integers d;
  const size_t lanes = hn::Lanes(f);
  const auto reach = hn::Set(f, kQuantReach);
  size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const auto steps = hn::Div(hn::Sub(hn::LoadU(f, values + i), hn::LoadU(f, offset + i)),
                               hn::LoadU(f, divisor + i));
    const auto bounded = hn::Max(hn::Neg(reach), hn::Min(steps, reach));
    const auto shifted = hn::Add(hn::Add(bounded, hn::Set(f, kQuantMiddle)), hn::Set(f, 0.5f));
    hn::StoreU(hn::DemoteTo(Bytes8(), hn::ConvertTo(d, shifted)), Bytes8(), symbols + i);
  }
  for (; i < count; ++i) {
    const float steps = (values[i] - offset[i]) / divisor[i];
    const float bounded = std::max(-kQuantReach, std::min(steps, kQuantReach));
    symbols[i] = static_cast<uint8_t>(static_cast<int32_t>(bounded + kQuantMiddle + 0.5f));
  }
}

template <ElementType kType>
void widen(const std::byte* from, size_t count, float* to) {
  constexpr size_t kElement = elementSize(kType);
  const Floats f;
  size_t i = 0;
  for (; i + hn::Lanes(f) <= count; i += hn::Lanes(f)) {
    hn::StoreU(loadValues<kType>(from + i * kElement), f, to + i);
  }
  for (; i < count; ++i) to[i] = loadOne<kType>(from + i * kElement);
}

void widenHere(const std::byte* from, ElementType type, size_t count, float* to) {
  switch (type) {
    case ElementType::kF32:
      return widen<ElementType::kF32>(from, count, to);
    case ElementType::kF16:
      return widen<ElementType::kF16>(from, count, to);
    case ElementType::kBf16:
      return widen<ElementType::kBf16>(from, count, to);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace spolia::codec
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace spolia::codec {

HWY_EXPORT(restoreHere);
HWY_EXPORT(quantiseHere);
HWY_EXPORT(scaleHere);
HWY_EXPORT(widenHere);

void restoreRow(const uint8_t* symbols, const float* offset, const float* step, size_t count,
                ElementType type, std::byte* to) {
  HWY_DYNAMIC_DISPATCH(restoreHere)(symbols, offset, step, count, type, to);
}

void scaleRow(const float* values, const float* base, const float* scale, size_t count, bool add,
              ElementType type, std::byte* to) {
  HWY_DYNAMIC_DISPATCH(scaleHere)(values, base, scale, count, add, type, to);
}

void quantiseRow(const float* values, const float* offset, const float* divisor, size_t count,
                 uint8_t* symbols) {
  HWY_DYNAMIC_DISPATCH(quantiseHere)(values, offset, divisor, count, symbols);
}

void widenRow(const std::byte* from, ElementType type, size_t count, float* to) {
  HWY_DYNAMIC_DISPATCH(widenHere)(from, type, count, to);
}

}  // namespace spolia::codec
#endif
