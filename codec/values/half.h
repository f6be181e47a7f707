// Conversions between f32 and the two 16-bit float types, as integer arithmetic without branches,
// so that plain loops over them vectorise on every target and NaN payloads survive widening.
#pragma once

#include <bit>
#include <cstdint>

namespace spolia::codec {

// Largest finite magnitudes.
inline constexpr float kMaxF16 = 65504.0f;
inline constexpr uint32_t kMaxBf16Bits = 0x7f7f;

inline float f32FromBf16(uint16_t h) {
  return std::bit_cast<float>(static_cast<uint32_t>(h) << 16);
}

inline float f32FromF16(uint16_t h) {
  const uint32_t magnitude = static_cast<uint32_t>(h & 0x7fff) << 13;
  const uint32_t exponent = magnitude & 0x0f800000;
  const uint32_t normal = magnitude + (112u << 23);
  const uint32_t special = magnitude + (224u << 23);  // infinities and NaNs
  // 2^-14 with the fraction, less 2^-14: exact for subnormals.
  const auto subnormal = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude + (113u << 23)) -
                                                 std::bit_cast<float>(113u << 23));
  const uint32_t finite = exponent == 0 ? subnormal : normal;
  const uint32_t bits = exponent == 0x0f800000 ? special : finite;
  return std::bit_cast<float>(bits | static_cast<uint32_t>(h & 0x8000) << 16);
}

// Nearest, ties to even, of a value that is not a NaN.
inline uint16_t bf16FromF32(float f) {
  const auto u = std::bit_cast<uint32_t>(f);
  return static_cast<uint16_t>((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

// Nearest, ties to even, of a value of magnitude at most kMaxF16.
inline uint16_t f16FromF32(float f) {
  const auto u = std::bit_cast<uint32_t>(f);
  const uint32_t magnitude = u & 0x7fffffff;
  const uint32_t normal = (magnitude - (112u << 23) + 0xfff + (magnitude >> 13 & 1)) >> 13;
  // Adding 0.5 lets the FPU round at 2^-24, the spacing of subnormals.
  const uint32_t subnormal =
      std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - 0x3f000000;
  const uint32_t bits = magnitude < 113u << 23 ? subnormal : normal;
  return static_cast<uint16_t>(bits | (u >> 16 & 0x8000));
}

}  // namespace spolia::codec
