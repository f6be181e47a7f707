#include "engine/kernels/quant_blocks.h"

#include <bit>
#include <cstdint>
#include <cstring>

#include "engine/kernels/element_convert.h"
#include "engine/kernels/reference.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/quant_blocks.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

// What all targets share.
#ifndef SPOLIA_ENGINE_KERNELS_QUANT_BLOCKS_ONCE
#define SPOLIA_ENGINE_KERNELS_QUANT_BLOCKS_ONCE
namespace spolia::engine {
namespace {

constexpr size_t kSmallBlock = 32;   // values of Q8_0, Q4_0
constexpr size_t kSuperBlock = 256;  // values of Q4_K, Q6_K

// An f16 anywhere. Exact: the exponent is put right by a product with a power of two, which also
// makes numbers of what is subnormal.
inline float scaleAt(const std::byte* at) {
  uint16_t bits;
  std::memcpy(&bits, at, 2);
  const uint32_t magnitude = bits & 0x7fffu;
  float value = std::bit_cast<float>(magnitude << 13) * 0x1p112f;
  if (magnitude >= 0x7c00) value = std::bit_cast<float>(0x7f800000u | magnitude << 13);
  return (bits & 0x8000) != 0 ? -value : value;
}

inline uint32_t byteAt(const std::byte* at) {
  return std::to_integer<uint32_t>(*at);
}

// Scale and minimum of group 0 .. 7 of a Q4_K block, from its 12 packed bytes.
struct GroupScale {
  uint32_t scale, minimum;
};
inline GroupScale groupScale(const std::byte* packed, size_t group) {
  if (group < 4) return {byteAt(packed + group) & 63, byteAt(packed + 4 + group) & 63};
  const uint32_t low = byteAt(packed + 4 + group);
  return {(low & 15) | byteAt(packed + group - 4) >> 6 << 4,
          low >> 4 | byteAt(packed + group) >> 6 << 4};
}

// Parts of a Q6_K block.
constexpr size_t kQ6High = 128, kQ6Scales = kQ6High + 64, kQ6D = kQ6Scales + 16;

inline int8_t signedAt(const std::byte* at) {
  return static_cast<int8_t>(std::to_integer<uint8_t>(*at));
}

}  // namespace
}  // namespace spolia::engine
#endif

HWY_BEFORE_NAMESPACE();
namespace spolia::engine {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::CappedTag<float, 16>;  // values that share a scale, at least
using DInt = hn::RebindToSigned<D>;
using VInt = hn::Vec<DInt>;

// As many bytes as a vector has lanes.
VInt unsignedBytes(const std::byte* at) {
  const hn::Rebind<uint8_t, D> d8;
  return hn::PromoteTo(DInt(), hn::LoadU(d8, reinterpret_cast<const uint8_t*>(at)));
}

VInt signedBytes(const std::byte* at) {
  const hn::Rebind<int8_t, D> d8;
  return hn::PromoteTo(DInt(), hn::LoadU(d8, reinterpret_cast<const int8_t*>(at)));
}

VInt lowHalves(VInt bytes) {
  return hn::And(bytes, hn::Set(DInt(), 15));
}

VInt highHalves(VInt bytes) {
  return hn::ShiftRight<4>(bytes);
}

// out = scale q.
void storeScaled(float scale, VInt q, float* out) {
  const D d;
  hn::StoreU(hn::Mul(hn::Set(d, scale), hn::ConvertTo(d, q)), d, out);
}

void widenQ8_0(const std::byte* block, size_t count, float* out) {
  for (size_t b = 0; b < count; ++b, block += blockBytes(WeightType::kQ8_0)) {
    const float scale = scaleAt(block);
    for (size_t i = 0; i < kSmallBlock; i += hn::Lanes(D())) {
      storeScaled(scale, signedBytes(block + 2 + i), out + i);
    }
    out += kSmallBlock;
  }
}

void widenQ4_0(const std::byte* block, size_t count, float* out) {
  const VInt eight = hn::Set(DInt(), 8);
  for (size_t b = 0; b < count; ++b, block += blockBytes(WeightType::kQ4_0)) {
    const float scale = scaleAt(block);
    for (size_t i = 0; i < 16; i += hn::Lanes(D())) {
      const VInt bytes = unsignedBytes(block + 2 + i);
      storeScaled(scale, hn::Sub(lowHalves(bytes), eight), out + i);
      storeScaled(scale, hn::Sub(highHalves(bytes), eight), out + 16 + i);
    }
    out += kSmallBlock;
  }
}

// One of the four pairs of groups of a Q4_K block. d s has 17 bits at most and times q 21, so only
// the difference rounds, fused or not.
void widenQ4KPair(const std::byte* bytes, GroupScale low, GroupScale high, float scale,
                  float minimum, float* out) {
  const D d;
  const auto lowScale = hn::Set(d, scale * static_cast<float>(low.scale));
  const auto lowMinimum = hn::Set(d, minimum * static_cast<float>(low.minimum));
  const auto highScale = hn::Set(d, scale * static_cast<float>(high.scale));
  const auto highMinimum = hn::Set(d, minimum * static_cast<float>(high.minimum));
  for (size_t i = 0; i < 32; i += hn::Lanes(d)) {
    const VInt both = unsignedBytes(bytes + i);
    const auto lowValues = hn::ConvertTo(d, lowHalves(both));
    const auto highValues = hn::ConvertTo(d, highHalves(both));
    hn::StoreU(hn::MulSub(lowValues, lowScale, lowMinimum), d, out + i);
    hn::StoreU(hn::MulSub(highValues, highScale, highMinimum), d, out + 32 + i);
  }
}

void widenQ4K(const std::byte* block, size_t count, float* out) {
  for (size_t b = 0; b < count; ++b, block += blockBytes(WeightType::kQ4K)) {
    const float scale = scaleAt(block), minimum = scaleAt(block + 2);
    for (size_t pair = 0; pair < 4; ++pair) {
      widenQ4KPair(block + 16 + 32 * pair, groupScale(block + 4, 2 * pair),
                   groupScale(block + 4, 2 * pair + 1), scale, minimum, out + 64 * pair);
    }
    out += kSuperBlock;
  }
}

// 16 values i .. i + 15 of each quarter of one half of a Q6_K block; scales at those of these
// values in the first quarter, which are two further on in each next one.
void widenQ6KColumns(const std::byte* low, const std::byte* high, const std::byte* scales, float d,
                     float* out) {
  const VInt middle = hn::Set(DInt(), 32), twoBits = hn::Set(DInt(), 3);
  for (size_t i = 0; i < 16; i += hn::Lanes(D())) {
    const VInt a = unsignedBytes(low + i), b = unsignedBytes(low + 32 + i);
    const VInt top = unsignedBytes(high + i);
    const auto store = [&](size_t quarter, VInt bottom, VInt topBits) {
      const VInt q = hn::Or(bottom, hn::ShiftLeft<4>(hn::And(topBits, twoBits)));
      const float scale = d * static_cast<float>(signedAt(scales + 2 * quarter));
      storeScaled(scale, hn::Sub(q, middle), out + 32 * quarter + i);
    };
    store(0, lowHalves(a), top);
    store(1, lowHalves(b), hn::ShiftRight<2>(top));
    store(2, highHalves(a), hn::ShiftRight<4>(top));
    store(3, highHalves(b), hn::ShiftRight<6>(top));
  }
}

void widenQ6K(const std::byte* block, size_t count, float* out) {
  for (size_t b = 0; b < count; ++b, block += blockBytes(WeightType::kQ6K)) {
    const float scale = scaleAt(block + kQ6D);
    for (size_t half = 0; half < 2; ++half) {
      for (size_t i = 0; i < 32; i += 16) {
        widenQ6KColumns(block + 64 * half + i, block + kQ6High + 32 * half + i,
                        block + kQ6Scales + 8 * half + i / 16, scale, out + 128 * half + i);
      }
    }
    out += kSuperBlock;
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace spolia::engine
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace spolia::engine {

HWY_EXPORT(widenQ8_0);
HWY_EXPORT(widenQ4_0);
HWY_EXPORT(widenQ4K);
HWY_EXPORT(widenQ6K);

void dequantize(WeightType type, const std::byte* blocks, size_t values, float* out) {
  SPOLIA_DCHECK(values % blockValues(type) == 0);
  const size_t count = values / blockValues(type);
  switch (type) {
    case WeightType::kF32:
      std::memcpy(out, blocks, values * sizeof(float));
      return;
    case WeightType::kF16:
      return widenF16(blocks, values, out);
    case WeightType::kBf16:
      return widenBf16(blocks, values, out);
    case WeightType::kQ8_0:
      return HWY_DYNAMIC_DISPATCH(widenQ8_0)(blocks, count, out);
    case WeightType::kQ4_0:
      return HWY_DYNAMIC_DISPATCH(widenQ4_0)(blocks, count, out);
    case WeightType::kQ4K:
      return HWY_DYNAMIC_DISPATCH(widenQ4K)(blocks, count, out);
    case WeightType::kQ6K:
      return HWY_DYNAMIC_DISPATCH(widenQ6K)(blocks, count, out);
  }
}

namespace reference {
namespace {

float halfAt(const std::byte* at) {
  return widenF16(static_cast<uint16_t>(byteAt(at) | byteAt(at + 1) << 8));
}

// Value i of a block.
float valueOf(WeightType type, const std::byte* block, size_t i) {
  switch (type) {
    case WeightType::kF32: {
      float value;
      std::memcpy(&value, block, sizeof value);
      return value;
    }
    case WeightType::kF16:
      return halfAt(block);
    case WeightType::kBf16:
      return widenBf16(static_cast<uint16_t>(byteAt(block) | byteAt(block + 1) << 8));
    case WeightType::kQ8_0:
      return halfAt(block) * static_cast<float>(signedAt(block + 2 + i));
    case WeightType::kQ4_0: {
      const int q = static_cast<int>(byteAt(block + 2 + i % 16) >> (i < 16 ? 0 : 4) & 15);
      return halfAt(block) * static_cast<float>(q - 8);
    }
    case WeightType::kQ4K: {
      const size_t group = i / 32;
      const auto [scale, minimum] = groupScale(block + 4, group);
      const uint32_t byte = byteAt(block + 16 + group / 2 * 32 + i % 32);
      const float d = halfAt(block) * static_cast<float>(scale);
      const float m = halfAt(block + 2) * static_cast<float>(minimum);
      return d * static_cast<float>(group % 2 == 0 ? byte & 15 : byte >> 4) - m;
    }
    case WeightType::kQ6K: {
      const size_t half = i / 128, quarter = i % 128 / 32, column = i % 32;
      const uint32_t low = byteAt(block + 64 * half + 32 * (quarter % 2) + column);
      const uint32_t high = byteAt(block + kQ6High + 32 * half + column) >> 2 * quarter & 3;
      const int q = static_cast<int>((quarter < 2 ? low & 15 : low >> 4) | high << 4);
      const float d =
          halfAt(block + kQ6D) * static_cast<float>(signedAt(block + kQ6Scales + i / 16));
      return d * static_cast<float>(q - 32);
    }
  }
  return 0;
}

}  // namespace

void dequantize(WeightType type, const std::byte* blocks, size_t values, float* out) {
  const size_t perBlock = blockValues(type);
  for (size_t i = 0; i < values; ++i) {
    out[i] = valueOf(type, blocks + i / perBlock * blockBytes(type), i % perBlock);
  }
}

}  // namespace reference
}  // namespace spolia::engine
#endif
