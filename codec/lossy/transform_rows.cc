// Compiled without contraction of a product and a sum into one operation: all targets would not
// round alike then.
#include "codec/lossy/transform_rows.h"

#include <algorithm>
#include <cmath>

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
#if HWY_TARGET == HWY_AVX3
  for (; j + 4 * lanes <= count; j += 4 * lanes) {  // of 32 registers
    projectTile<4>(from, channels, columns + j, count, to + j, toStride);
  }
#endif
  for (; j + 2 * lanes <= count; j += 2 * lanes) {
    projectTile<2>(from, channels, columns + j, count, to + j, toStride);
  }
  for (; j + lanes <= count; j += lanes) {
    projectTile<1>(from, channels, columns + j, count, to + j, toStride);
  }
  // Less than a vector: with what stands behind it.
  if (j < count) projectTile<1>(from, channels, columns + j, count, to + j, toStride);
}

// Loops that compilers turn into each target's vectors.
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

// The product is a high half, which vectors of 16 bits have.
int16_t third(int16_t v) {
  const auto magnitude = static_cast<uint16_t>((v < 0 ? -v : v) + 1);
  const auto up = static_cast<int16_t>(magnitude * 21846u >> 16);
  return static_cast<int16_t>(v < 0 ? -up : up);
}

template <uint32_t kBelow, bool kFine>
void level(const int16_t* values, size_t count, int16_t* to) {
  for (size_t i = 0; i < count; ++i) {
    int16_t v = values[i];
    for (uint32_t up = 0; up < kBelow; ++up) v = third(v);
    if constexpr (kFine) v = static_cast<int16_t>(v - 3 * third(v));
    to[i] = v;
  }
}

void levelHere(const int16_t* values, size_t count, uint32_t below, bool fine, int16_t* to) {
  if (below == 0)
    return fine ? level<0, true>(values, count, to) : level<0, false>(values, count, to);
  if (below == 1)
    return fine ? level<1, true>(values, count, to) : level<1, false>(values, count, to);
  fine ? level<2, true>(values, count, to) : level<2, false>(values, count, to);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace spolia::codec
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace spolia::codec {

HWY_EXPORT(projectHere);
HWY_EXPORT(quantiseHere);
HWY_EXPORT(levelHere);

void project(const float* from, uint32_t channels, const float* columns, uint32_t count, float* to,
             size_t toStride) {
  HWY_DYNAMIC_DISPATCH(projectHere)(from, channels, columns, count, to, toStride);
}

void quantiseSteps(const float* values, float inverseStep, float rounding, const float* limit,
                   size_t count, int16_t* to, float* energy) {
  HWY_DYNAMIC_DISPATCH(quantiseHere)(values, inverseStep, rounding, limit, count, to, energy);
}

void levelOf(const int16_t* values, size_t count, uint32_t below, bool fine, int16_t* to) {
  HWY_DYNAMIC_DISPATCH(levelHere)(values, count, below, fine, to);
}

}  // namespace spolia::codec
#endif
