// Compiled without contraction of a product and a sum into one operation: all targets would not
// round alike then.
#include "codec/values/quant_rows.h"

#include <algorithm>
#include <cstring>
#include <iterator>

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

// Channels of a tile, short enough that its rows stay near.
constexpr uint32_t kTileGroups = 64;
constexpr size_t kTileStride = (kTileGroups + 2) * kStepGroup;

// Integers in steps, [group][token][4], as rows of tokens.
HWY_INLINE void gatherTile(const StepRows& from, uint32_t token, uint32_t tokens, uint32_t groups,
                           int16_t* rows) {
  const int16_t* at = from.steps + size_t{token} * kStepGroup;
  uint32_t g = 0;
#if HWY_TARGET != HWY_SCALAR
  // Two groups' four channels of two tokens change places.
  const hn::FixedTag<uint64_t, 2> d;
  const auto load = [&](const int16_t* p) {
    return hn::BitCast(d, hn::LoadU(hn::FixedTag<int16_t, 8>(), p));
  };
  const auto store = [&](auto v, int16_t* p) {
    hn::StoreU(hn::BitCast(hn::FixedTag<int16_t, 8>(), v), hn::FixedTag<int16_t, 8>(), p);
  };
  for (; tokens == kStepTokens && g + 2 <= groups; g += 2, at += 2 * from.groupStride) {
    int16_t* to = rows + size_t{g} * kStepGroup;
    // The next tile's, by then. Groups lie too far apart for the machine to see what comes.
    __builtin_prefetch(at + kStepTokens * kStepGroup);
    __builtin_prefetch(at + from.groupStride + kStepTokens * kStepGroup);
    for (uint32_t t = 0; t < kStepTokens; t += 2) {
      const auto a = load(at + t * kStepGroup);
      const auto b = load(at + from.groupStride + t * kStepGroup);
      store(hn::InterleaveLower(d, a, b), to + t * kTileStride);
      store(hn::InterleaveUpper(d, a, b), to + (t + 1) * kTileStride);
    }
  }
#endif
  for (; g < groups; ++g, at += from.groupStride) {
    for (uint32_t t = 0; t < tokens; ++t) {
      std::memcpy(rows + t * kTileStride + size_t{g} * kStepGroup, at + t * kStepGroup,
                  kStepGroup * sizeof *rows);
    }
  }
}

template <ElementType kType, bool kAdd>
HWY_INLINE void restoreRow(const int16_t* steps, const float* offset, float step, size_t count,
                           std::byte* to) {
  const Floats f;
  const Integers d;
  const hn::Rebind<int16_t, Floats> narrow;
  const size_t lanes = hn::Lanes(f);
  const size_t element = elementSize(kType);
  const auto factor = hn::Set(f, step);
  size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const auto whole = hn::ConvertTo(f, hn::PromoteTo(d, hn::LoadU(narrow, steps + i)));
    if constexpr (kAdd) {
      const auto raw = hn::Add(loadValues<kType>(to + i * element), hn::Mul(whole, factor));
      storeBounded<kType>(raw, to + i * element);
    } else {
      const auto raw = hn::Mul(hn::Add(whole, hn::LoadU(f, offset + i)), factor);
      storeBounded<kType>(raw, to + i * element);
    }
  }
  for (; i < count; ++i) {
    const auto whole = static_cast<float>(steps[i]);
    const float raw =
        kAdd ? loadOne<kType>(to + i * element) + whole * step : (whole + offset[i]) * step;
    storeOneBounded<kType>(raw, to + i * element);
  }
}

template <ElementType kType, bool kAdd>
void restoreRows(const StepRows& from, uint32_t begin, uint32_t end, std::byte* to,
                 ptrdiff_t tokenStride) {
  HWY_ALIGN int16_t rows[kStepTokens * kTileStride];
  if (from.steps == nullptr) std::fill(std::begin(rows), std::end(rows), int16_t{0});
  for (uint32_t first = 0; first < from.count; first += kTileGroups * kStepGroup) {
    const uint32_t count = std::min(kTileGroups * kStepGroup, from.count - first);
    StepRows run = from;
    if (run.steps) run.steps += (from.channel + first) / kStepGroup * from.groupStride;
    const uint32_t shift = from.channel % kStepGroup;
    const uint32_t groups = (shift + count + kStepGroup - 1) / kStepGroup;
    std::byte* at = to + first * elementSize(kType);
    for (uint32_t t = begin; t < end; t += kStepTokens) {
      const uint32_t tokens = std::min(kStepTokens, end - t);
      if (run.steps) gatherTile(run, t, tokens, groups, rows);
      for (uint32_t i = 0; i < tokens; ++i, at += tokenStride) {
        restoreRow<kType, kAdd>(rows + i * kTileStride + shift, from.offset + first, from.step,
                                count, at);
      }
    }
  }
}

void restoreHere(const StepRows& from, uint32_t begin, uint32_t end, bool add, ElementType type,
                 std::byte* to, ptrdiff_t tokenStride) {
  const auto as = [&]<ElementType kType>() {
    add ? restoreRows<kType, true>(from, begin, end, to, tokenStride)
        : restoreRows<kType, false>(from, begin, end, to, tokenStride);
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
HWY_EXPORT(scaleHere);
HWY_EXPORT(widenHere);

void restoreSteps(const StepRows& from, uint32_t begin, uint32_t end, bool add, ElementType type,
                  std::byte* to, ptrdiff_t tokenStride) {
  HWY_DYNAMIC_DISPATCH(restoreHere)(from, begin, end, add, type, to, tokenStride);
}

void scaleRow(const float* values, const float* base, const float* scale, size_t count, bool add,
              ElementType type, std::byte* to) {
  HWY_DYNAMIC_DISPATCH(scaleHere)(values, base, scale, count, add, type, to);
}

void widenRow(const std::byte* from, ElementType type, size_t count, float* to) {
  HWY_DYNAMIC_DISPATCH(widenHere)(from, type, count, to);
}

}  // namespace spolia::codec
#endif
