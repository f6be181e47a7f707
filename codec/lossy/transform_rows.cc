// Compiled without contraction of a product and a sum into one operation: all targets would not
// round alike then.
#include "codec/lossy/transform_rows.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "codec/lossy/transform_rows.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace spolia::codec {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::ScalableTag<float>;
using Integers = hn::RebindToSigned<Floats>;
#if HWY_TARGET != HWY_SCALAR
using Pairs16 = hn::Repartition<int16_t, Integers>;
using Pairs8 = hn::Rebind<int8_t, Pairs16>;
using Sum = hn::Vec<Integers>;

// The sum of both products of each pair of 16-bit factors.
HWY_INLINE Sum pairProducts(hn::Vec<Pairs16> a, hn::Vec<Pairs16> b) {
#if HWY_TARGET == HWY_SSSE3 || HWY_TARGET == HWY_SSE4
  return Sum{_mm_madd_epi16(a.raw, b.raw)};
#elif HWY_TARGET == HWY_AVX2
  return Sum{_mm256_madd_epi16(a.raw, b.raw)};
#elif HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
  return Sum{_mm512_madd_epi16(a.raw, b.raw)};
#else
  const Integers d;
  const auto whole = [&](hn::Vec<Pairs16> v) { return hn::BitCast(d, v); };
  const auto low = [&](Sum v) { return hn::ShiftRight<16>(hn::ShiftLeft<16>(v)); };
  const auto high = [&](Sum v) { return hn::ShiftRight<16>(v); };
  return hn::Add(hn::Mul(low(whole(a)), low(whole(b))), hn::Mul(high(whole(a)), high(whole(b))));
#endif
}

int32_t pairAt(const int16_t* x) {
  int32_t both;
  std::memcpy(&both, x, sizeof both);
  return both;
}

HWY_INLINE void addScaled(Sum sum, const float* factors, float factor, float* to) {
  const Floats f;
  const auto scale = hn::Mul(hn::LoadU(f, factors), hn::Set(f, factor));
  hn::StoreU(hn::Add(hn::LoadU(f, to), hn::Mul(hn::ConvertTo(f, sum), scale)), f, to);
}

// kVectors vectors of channels of a tile, sums in registers.
template <size_t kVectors>
HWY_INLINE void addTile(const int16_t* x, size_t xStride, const int8_t* rows, size_t rowBytes,
                        uint32_t pairs, const float* factors, float factor, float* to,
                        size_t toStride) {
  const Integers d;
  const Pairs16 wide;
  const Pairs8 narrow;
  const size_t lanes = hn::Lanes(d);
  Sum sum[kTileTokens][kVectors];
  for (auto& row : sum) {
    for (auto& s : row) s = hn::Zero(d);
  }
  for (uint32_t p = 0; p < pairs; ++p, rows += rowBytes) {
    int32_t both[kTileTokens];
    int32_t any = 0;
    for (uint32_t t = 0; t < kTileTokens; ++t) any |= both[t] = pairAt(x + t * xStride + 2 * p);
    if (any == 0) continue;  // most are, at low rates
    hn::Vec<Pairs16> row[kVectors];
    for (size_t v = 0; v < kVectors; ++v) {
      row[v] = hn::PromoteTo(wide, hn::LoadU(narrow, rows + v * lanes * 2));
    }
    for (uint32_t t = 0; t < kTileTokens; ++t) {
      const auto factors = hn::BitCast(wide, hn::Set(d, both[t]));
      for (size_t v = 0; v < kVectors; ++v) {
        sum[t][v] = hn::Add(sum[t][v], pairProducts(row[v], factors));
      }
    }
  }
  for (uint32_t t = 0; t < kTileTokens; ++t) {
    for (size_t v = 0; v < kVectors; ++v) {
      addScaled(sum[t][v], factors + v * lanes, factor, to + t * toStride + v * lanes);
    }
  }
}

#endif

void addProductsHere(const int16_t* x, size_t xStride, const PairedRows& matrix, uint32_t channel,
                     uint32_t count, const float* factors, float factor, float* to,
                     size_t toStride) {
  if (matrix.pairs == 0) return;  // and no rows
  const size_t rowBytes = size_t{matrix.channels} * 2;
  size_t c = 0;
  const auto rowsAt = [&](size_t at) { return matrix.rows + (channel + at) * 2; };
#if HWY_TARGET != HWY_SCALAR
  const size_t lanes = hn::Lanes(Integers());
  for (; c + 2 * lanes <= count; c += 2 * lanes) {
    addTile<2>(x, xStride, rowsAt(c), rowBytes, matrix.pairs, factors + c, factor, to + c,
               toStride);
  }
  for (; c + lanes <= count; c += lanes) {
    addTile<1>(x, xStride, rowsAt(c), rowBytes, matrix.pairs, factors + c, factor, to + c,
               toStride);
  }
#endif
  for (; c < count; ++c) {
    for (uint32_t t = 0; t < kTileTokens; ++t) {
      uint32_t sum = 0;
      for (uint32_t p = 0; p < matrix.pairs; ++p) {
        const int8_t* row = rowsAt(c) + p * rowBytes;
        sum += static_cast<uint32_t>(x[t * xStride + 2 * p] * row[0]) +
               static_cast<uint32_t>(x[t * xStride + 2 * p + 1] * row[1]);
      }
      to[t * toStride + c] += static_cast<float>(static_cast<int32_t>(sum)) * (factors[c] * factor);
    }
  }
}

template <size_t kVectors>
HWY_INLINE void projectTile(const float* from, uint32_t channels, const float* columns,
                            size_t columnStride, float* to, size_t toStride) {
  const Floats f;
  const size_t lanes = hn::Lanes(f);
  hn::Vec<Floats> sum[kTileTokens][kVectors];
  for (auto& row : sum) {
    for (auto& s : row) s = hn::Zero(f);
  }
  for (uint32_t c = 0; c < channels; ++c, columns += columnStride) {
    hn::Vec<Floats> column[kVectors];
    for (size_t v = 0; v < kVectors; ++v) column[v] = hn::LoadU(f, columns + v * lanes);
    for (uint32_t t = 0; t < kTileTokens; ++t) {
      const auto value = hn::Set(f, from[size_t{t} * channels + c]);
      for (size_t v = 0; v < kVectors; ++v) sum[t][v] = hn::MulAdd(value, column[v], sum[t][v]);
    }
  }
  for (uint32_t t = 0; t < kTileTokens; ++t) {
    for (size_t v = 0; v < kVectors; ++v) {
      hn::StoreU(sum[t][v], f, to + t * toStride + v * lanes);
    }
  }
}

void projectHere(const float* from, uint32_t channels, const float* columns, uint32_t count,
                 float* to, size_t toStride) {
  const size_t lanes = hn::Lanes(Floats());
  size_t j = 0;
  for (; j + 2 * lanes <= count; j += 2 * lanes) {
    projectTile<2>(from, channels, columns + j, count, to + j, toStride);
  }
  for (; j + lanes <= count; j += lanes) {
    projectTile<1>(from, channels, columns + j, count, to + j, toStride);
  }
  for (; j < count; ++j) {
    for (uint32_t t = 0; t < kTileTokens; ++t) {
      float sum = 0;
      for (uint32_t c = 0; c < channels; ++c) {
        sum += from[size_t{t} * channels + c] * columns[size_t{c} * count + j];
      }
      to[t * toStride + j] = sum;
    }
  }
}

// Loops that compilers turn into each target's vectors.
bool residualHere(const float* values, const float* mean, const float* inverse, float limit,
                  size_t count, float* to) {
  uint32_t bad = 0;
  for (size_t c = 0; c < count; ++c) {
    bad |= (std::bit_cast<uint32_t>(values[c]) & 0x7f800000) == 0x7f800000 ? 1u : 0u;
    const float sum = to[c] + (values[c] - mean[c]) * inverse[c];
    to[c] = std::max(-limit, std::min(sum, limit));
  }
  return bad == 0;
}

void quantiseHere(const float* values, float inverseStep, float rounding, const float* limit,
                  size_t count, int16_t* to, float* energy) {
  for (size_t i = 0; i < count; ++i) {
    energy[i] += values[i] * values[i];
    const float steps = values[i] * inverseStep;
    const float magnitude = std::min(std::fabs(steps) + rounding, limit[i]);
    const auto whole = static_cast<int32_t>(magnitude);
    to[i] = static_cast<int16_t>(steps < 0 ? -whole : whole);
  }
}

void thirdsHere(const int16_t* values, size_t count, int16_t* to) {
  for (size_t i = 0; i < count; ++i) {
    const int32_t v = values[i];
    const int32_t third = ((v < 0 ? -v : v) + 1) * 21846 >> 16;
    to[i] = static_cast<int16_t>(v < 0 ? -third : third);
  }
}

void shiftHere(const int16_t* values, const uint8_t* shifts, size_t count, int16_t* x) {
  for (size_t i = 0; i < count; ++i) {
    const int32_t shifted = int32_t{values[i]} * (1 << shifts[i]);
    x[i] = static_cast<int16_t>(std::clamp(shifted, -32767, 32767));
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace spolia::codec
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace spolia::codec {

HWY_EXPORT(addProductsHere);
HWY_EXPORT(projectHere);
HWY_EXPORT(shiftHere);
HWY_EXPORT(residualHere);
HWY_EXPORT(quantiseHere);
HWY_EXPORT(thirdsHere);

void addProducts(const int16_t* x, size_t xStride, const PairedRows& matrix, uint32_t channel,
                 uint32_t count, const float* factors, float factor, float* to, size_t toStride) {
  HWY_DYNAMIC_DISPATCH(addProductsHere)
  (x, xStride, matrix, channel, count, factors, factor, to, toStride);
}

void project(const float* from, uint32_t channels, const float* columns, uint32_t count, float* to,
             size_t toStride) {
  HWY_DYNAMIC_DISPATCH(projectHere)(from, channels, columns, count, to, toStride);
}

bool addResidual(const float* values, const float* mean, const float* inverse, float limit,
                 size_t count, float* to) {
  return HWY_DYNAMIC_DISPATCH(residualHere)(values, mean, inverse, limit, count, to);
}

void quantiseSteps(const float* values, float inverseStep, float rounding, const float* limit,
                   size_t count, int16_t* to, float* energy) {
  HWY_DYNAMIC_DISPATCH(quantiseHere)(values, inverseStep, rounding, limit, count, to, energy);
}

void thirds(const int16_t* values, size_t count, int16_t* to) {
  HWY_DYNAMIC_DISPATCH(thirdsHere)(values, count, to);
}

void shiftRow(const int16_t* values, const uint8_t* shifts, size_t count, int16_t* x) {
  HWY_DYNAMIC_DISPATCH(shiftHere)(values, shifts, count, x);
}

}  // namespace spolia::codec
#endif
