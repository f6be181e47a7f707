#include "engine/kernels/rope.h"

#include <cmath>

#include "codec/base/check.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/rope.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace spolia::engine {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

void rotateHeadHere(const float* in, const RopeTable::Angles& angles, size_t headDim, float scale,
                    float* out) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  const size_t half = headDim / 2;
  const auto factor = hn::Set(d, scale);
  size_t i = 0;
  for (; i + lanes <= half; i += lanes) {
    const auto cosine = hn::Mul(hn::LoadU(d, angles.cos + i), factor);
    const auto sine = hn::Mul(hn::LoadU(d, angles.sin + i), factor);
    const auto a = hn::LoadU(d, in + i), b = hn::LoadU(d, in + half + i);
    hn::StoreU(hn::NegMulAdd(b, sine, hn::Mul(a, cosine)), d, out + i);
    hn::StoreU(hn::MulAdd(a, sine, hn::Mul(b, cosine)), d, out + half + i);
  }
  for (; i < half; ++i) {
    const float cosine = angles.cos[i] * scale, sine = angles.sin[i] * scale;
    const float a = in[i], b = in[half + i];
    out[i] = a * cosine - b * sine;
    out[half + i] = b * cosine + a * sine;
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace spolia::engine
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace spolia::engine {

HWY_EXPORT(rotateHeadHere);

RopeTable::RopeTable(uint32_t headDim, float theta, uint32_t maxPositions,
                     const RopeScaling& scaling)
    : headDim_(headDim),
      maxPositions_(maxPositions),
      frequencies_(ropeFrequencies(headDim, theta, scaling)),
      blocks_(std::make_unique<Block[]>((maxPositions + kBlock - 1) / kBlock)) {}

RopeTable::Angles RopeTable::at(uint32_t position) const {
  SPOLIA_DCHECK(position < maxPositions_);
  Block& block = blocks_[position / kBlock];
  std::call_once(block.once, [&] { fill(block, position / kBlock * kBlock); });
  const float* row = block.values.data() + size_t{position % kBlock} * headDim_;
  return {row, row + headDim_ / 2};
}

void RopeTable::fill(Block& block, uint32_t firstPosition) const {
  const size_t half = headDim_ / 2;
  block.values.resize(size_t{kBlock} * headDim_);
  for (uint32_t t = 0; t < kBlock; ++t) {
    float* row = block.values.data() + size_t{t} * headDim_;
    for (size_t i = 0; i < half; ++i) {
      const double angle = static_cast<float>(firstPosition + t) * frequencies_[i];
      row[i] = static_cast<float>(std::cos(angle));
      row[half + i] = static_cast<float>(std::sin(angle));
    }
  }
}

void rotateHead(const float* in, const RopeTable::Angles& angles, size_t headDim, float scale,
                float* out) {
  HWY_DYNAMIC_DISPATCH(rotateHeadHere)(in, angles, headDim, scale, out);
}

void rotateHeadBack(const float* in, const RopeTable::Angles& angles, size_t headDim, float* out) {
  const size_t half = headDim / 2;
  for (size_t i = 0; i < half; ++i) {
    const float a = in[i];
    const float b = in[half + i];
    out[i] = a * angles.cos[i] + b * angles.sin[i];
    out[half + i] = b * angles.cos[i] - a * angles.sin[i];
  }
}

}  // namespace spolia::engine
#endif
