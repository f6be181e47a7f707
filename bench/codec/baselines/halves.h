// Values in the two 16-bit types. Any thread.
#pragma once

#include <algorithm>
#include <cstdint>

#include "codec/kv_layout.h"
#include "codec/values/half.h"

namespace spolia::bench {

inline uint16_t halfFrom(float value, codec::ElementType type) {
  if (type == codec::ElementType::kBf16) return codec::bf16FromF32(value);
  return codec::f16FromF32(std::clamp(value, -codec::kMaxF16, codec::kMaxF16));
}
inline float fromHalf(uint16_t half, codec::ElementType type) {
  return type == codec::ElementType::kBf16 ? codec::f32FromBf16(half) : codec::f32FromF16(half);
}

}  // namespace spolia::bench
