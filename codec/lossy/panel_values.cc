// Compiled without contraction, so that all targets round alike, and without automatic vectors: see
// tile_sums-inl.h.
#include "codec/lossy/panel_values.h"

#include <algorithm>
#include <cstring>

#define HWY_WANT_AVX3_DL
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "codec/lossy/panel_values.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "codec/lossy/tile_sums-inl.h"
#include "codec/values/store_values-inl.h"

HWY_BEFORE_NAMESPACE();
namespace spolia::codec {
namespace HWY_NAMESPACE {
namespace {

// Some of a panel's floats, with zeros behind them for vectors that reach over its end.
struct PanelFloats {
  PanelFloats(const float* from, uint32_t width) {
    if (from != nullptr) std::memcpy(at, from, width * sizeof(float));
  }
  alignas(64) float at[2 * kPanelChannels] = {};
};

// Sums of a tile of a panel's codes, from `channel` on, times the map scales; 0 without codes.
template <size_t kVectors>
HWY_INLINE void predictTile(const PanelSums& sums, const PanelFloats& mapScale, uint32_t channel,
                            size_t tile, float (&to)[kTileTokens][kPanelChannels]) {
  const Floats f;
  const size_t lanes = hn::Lanes(f);
  Sum sum[kTileTokens][kVectors];
  if (sums.codes != nullptr) {
    sumTile(*sums.codes, tile, sums.maps.rows + size_t{channel} * kQuad, size_t{sums.width} * kQuad,
            sum);
  } else {
    clear(sum);
  }
  for (uint32_t t = 0; t < kTileTokens; ++t) {
    for (size_t v = 0; v < kVectors; ++v) {
      const auto scale = hn::LoadU(f, mapScale.at + channel + v * lanes);
      hn::StoreU(hn::Mul(hn::ConvertTo(f, sum[t][v]), scale), f, to[t] + v * lanes);
    }
  }
}

template <ElementType kType>
struct Restorer {
  static constexpr ptrdiff_t kElement = elementSize(kType);

  Restorer(const PanelSums& panel, std::byte* first, ptrdiff_t tokenStride)
      : sums(panel), to(first), stride(tokenStride) {}

  template <size_t kVectors>
  HWY_INLINE void tile(uint32_t channel, uint32_t i, uint32_t tokens) {
    write<kVectors>(channel, i, tokens, to + i * kTileTokens * stride + channel * kElement, stride);
  }
  HWY_INLINE void last(uint32_t channel, uint32_t i, uint32_t tokens) {
    constexpr ptrdiff_t kRow = kPanelChannels * kElement;
    std::byte whole[kTileTokens * kRow];
    write<1>(channel, i, tokens, whole, kRow);
    for (uint32_t t = 0; t < tokens; ++t) {
      std::memcpy(to + (i * kTileTokens + t) * stride + channel * kElement, whole + t * kRow,
                  (sums.width - channel) * kElement);
    }
  }

  template <size_t kVectors>
  HWY_INLINE void write(uint32_t channel, uint32_t i, uint32_t tokens, std::byte* out,
                        ptrdiff_t outStride) {
    const Floats f;
    const size_t lanes = hn::Lanes(f);
    alignas(64) float predicted[kTileTokens][kPanelChannels];
    predictTile<kVectors>(sums, mapScale, channel, i, predicted);
    Sum sum[kTileTokens][kVectors];
    if (sums.coefficients != nullptr) {
      sumTile(*sums.coefficients, i, sums.components.rows + size_t{channel} * kQuad,
              size_t{sums.width} * kQuad, sum);
    } else {
      clear(sum);
    }
    const auto factor = hn::Set(f, sums.factor);
    for (uint32_t t = 0; t < kTileTokens && t < tokens; ++t) {
      for (size_t v = 0; v < kVectors; ++v) {
        const size_t c = channel + v * lanes;
        const auto value = hn::Add(hn::LoadU(f, predicted[t] + v * lanes),
                                   hn::Mul(hn::ConvertTo(f, sum[t][v]), factor));
        const auto raw =
            hn::Add(hn::LoadU(f, mean.at + c), hn::Mul(hn::LoadU(f, scale.at + c), value));
        storeBounded<kType>(raw,
                            out + t * outStride + static_cast<ptrdiff_t>(v * lanes) * kElement);
      }
    }
  }

  const PanelSums& sums;
  std::byte* to;
  ptrdiff_t stride;
  const PanelFloats mean{sums.mean, sums.width};
  const PanelFloats scale{sums.scale, sums.width};
  const PanelFloats mapScale{sums.mapScale, sums.width};
};

template <ElementType kType>
void restoreAs(const PanelSums& sums, uint32_t tokens, std::byte* to, ptrdiff_t stride) {
  Restorer<kType> restorer(sums, to, stride);
  forEachTile(sums.width, tokens, restorer);
}

void restorePanelHere(const PanelSums& sums, uint32_t tokens, ElementType type, std::byte* to,
                      ptrdiff_t stride) {
  switch (type) {
    case ElementType::kF32:
      return restoreAs<ElementType::kF32>(sums, tokens, to, stride);
    case ElementType::kF16:
      return restoreAs<ElementType::kF16>(sums, tokens, to, stride);
    case ElementType::kBf16:
      return restoreAs<ElementType::kBf16>(sums, tokens, to, stride);
  }
}

template <ElementType kType>
struct Residuals {
  static constexpr ptrdiff_t kElement = elementSize(kType);

  Residuals(const PanelSums& panel, const float* inverses, float most, const std::byte* first,
            ptrdiff_t tokenStride, float* row, size_t rowStride)
      : sums(panel),
        limit(most),
        from(first),
        fromStride(tokenStride),
        to(row),
        toStride(rowStride),
        inverse(inverses, panel.width) {}

  template <size_t kVectors>
  HWY_INLINE void tile(uint32_t channel, uint32_t i, uint32_t tokens) {
    write<kVectors>(channel, i, tokens, from + i * kTileTokens * fromStride + channel * kElement,
                    fromStride, to + i * kTileTokens * toStride + channel, toStride);
  }
  HWY_INLINE void last(uint32_t channel, uint32_t i, uint32_t tokens) {
    constexpr ptrdiff_t kRow = kPanelChannels * kElement;
    std::byte values[kTileTokens * kRow] = {};
    float whole[kTileTokens * kPanelChannels];
    const size_t count = sums.width - channel;
    for (uint32_t t = 0; t < tokens; ++t) {
      std::memcpy(values + t * kRow, from + (i * kTileTokens + t) * fromStride + channel * kElement,
                  count * kElement);
    }
    write<1>(channel, i, tokens, values, kRow, whole, kPanelChannels);
    for (uint32_t t = 0; t < tokens; ++t) {
      std::memcpy(to + (i * kTileTokens + t) * toStride + channel,
                  whole + size_t{t} * kPanelChannels, count * sizeof(float));
    }
  }

  template <size_t kVectors>
  HWY_INLINE void write(uint32_t channel, uint32_t i, uint32_t tokens, const std::byte* values,
                        ptrdiff_t valueStride, float* out, size_t outStride) {
    const Floats f;
    const Integers d;
    const size_t lanes = hn::Lanes(f);
    alignas(64) float predicted[kTileTokens][kPanelChannels];
    predictTile<kVectors>(sums, mapScale, channel, i, predicted);
    const auto most = hn::Set(f, limit);
    auto reach = hn::Load(d, largest);
    for (uint32_t t = 0; t < kTileTokens && t < tokens; ++t) {
      for (size_t v = 0; v < kVectors; ++v) {
        const size_t c = channel + v * lanes;
        const auto value = loadValues<kType>(values + t * valueStride +
                                             static_cast<ptrdiff_t>(v * lanes) * kElement);
        reach = hn::Max(reach, hn::And(hn::BitCast(d, value), hn::Set(d, 0x7fffffff)));
        const auto units =
            hn::Mul(hn::Sub(value, hn::LoadU(f, mean.at + c)), hn::LoadU(f, inverse.at + c));
        const auto rest = hn::Sub(units, hn::LoadU(f, predicted[t] + v * lanes));
        hn::StoreU(hn::Max(hn::Neg(most), hn::Min(rest, most)), f, out + t * outStride + v * lanes);
      }
    }
    hn::Store(reach, d, largest);
  }

  bool finite() const {
    return std::all_of(largest, largest + hn::Lanes(Integers()),
                       [](int32_t bits) { return bits < 0x7f800000; });
  }

  const PanelSums& sums;
  float limit;
  const std::byte* from;
  ptrdiff_t fromStride;
  float* to;
  size_t toStride;
  const PanelFloats inverse;
  const PanelFloats mean{sums.mean, sums.width};
  const PanelFloats mapScale{sums.mapScale, sums.width};
  // Magnitudes of the values, as bits: those of an infinity and of NaNs are the largest.
  alignas(64) int32_t largest[kPanelChannels] = {};
};

template <ElementType kType>
bool residualAs(const PanelSums& sums, const float* inverse, float limit, uint32_t tokens,
                const std::byte* from, ptrdiff_t fromStride, float* to, size_t toStride) {
  Residuals<kType> residuals(sums, inverse, limit, from, fromStride, to, toStride);
  forEachTile(sums.width, tokens, residuals);
  return residuals.finite();
}

bool residualPanelHere(const PanelSums& sums, const float* inverse, float limit, uint32_t tokens,
                       ElementType type, const std::byte* from, ptrdiff_t fromStride, float* to,
                       size_t toStride) {
  const auto as = [&]<ElementType kType>() HWY_ATTR {
    return residualAs<kType>(sums, inverse, limit, tokens, from, fromStride, to, toStride);
  };
  return type == ElementType::kF32   ? as.template operator()<ElementType::kF32>()
         : type == ElementType::kF16 ? as.template operator()<ElementType::kF16>()
                                     : as.template operator()<ElementType::kBf16>();
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace spolia::codec
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace spolia::codec {

HWY_EXPORT(restorePanelHere);
HWY_EXPORT(residualPanelHere);

void restorePanel(const PanelSums& sums, uint32_t tokens, ElementType type, std::byte* to,
                  ptrdiff_t stride) {
  HWY_DYNAMIC_DISPATCH(restorePanelHere)(sums, tokens, type, to, stride);
}

bool residualPanel(const PanelSums& sums, const float* inverse, float limit, uint32_t tokens,
                   ElementType type, const std::byte* from, ptrdiff_t fromStride, float* to,
                   size_t toStride) {
  return HWY_DYNAMIC_DISPATCH(residualPanelHere)(sums, inverse, limit, tokens, type, from,
                                                 fromStride, to, toStride);
}

}  // namespace spolia::codec
#endif
