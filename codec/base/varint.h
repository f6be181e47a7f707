// Unsigned integers below 2^32 in as many bytes as they need: seven bits a byte, least significant
// first, the top bit set on all bytes but the last, which is not zero unless it is the only one.
// Any thread.
#pragma once

#include <cstdint>

#include "codec/base/bytes.h"

namespace spolia {

inline void writeVarint(uint32_t value, ByteWriter& out) {
  for (; value >= 0x80; value >>= 7) out.u8(static_cast<uint8_t>(value | 0x80));
  out.u8(static_cast<uint8_t>(value));
}

// Reads to `value`; false for more than 32 bits, a needless zero byte, or the end of the data.
inline bool readVarint(ByteReader& in, uint32_t& value) {
  uint64_t v = 0;
  for (uint32_t shift = 0; shift < 35; shift += 7) {
    const uint8_t byte = in.u8();
    v |= uint64_t{byte & 0x7fu} << shift;
    if (byte >= 0x80) continue;
    value = static_cast<uint32_t>(v);
    return in.ok() && v <= UINT32_MAX && (byte != 0 || shift == 0);
  }
  return false;
}

// Signed integers as unsigned ones that are small where they are: 0, -1, 1, -2 .. as 0, 1, 2, 3 ..
constexpr uint32_t zigzag(int32_t v) {
  return (static_cast<uint32_t>(v) << 1) ^ static_cast<uint32_t>(v >> 31);
}
constexpr int32_t unzigzag(uint32_t v) {
  return static_cast<int32_t>(v >> 1) ^ -static_cast<int32_t>(v & 1);
}

}  // namespace spolia
