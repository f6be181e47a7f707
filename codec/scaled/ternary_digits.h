// Numbers from -1 to 1 that are as good as noise: five of them in a byte, by vectors. Specified in
// codec/FORMAT.md ("Ternary digits"). Any thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "codec/base/bytes.h"

namespace spolia::codec {

inline constexpr uint32_t kDigitsPerByte = 5;

constexpr uint64_t ternaryBytes(uint64_t digits) {
  return (digits + kDigitsPerByte - 1) / kDigitsPerByte;
}

// Digit i of the bytes, 0 to 2, stands in byte i % bytes, with the weight 3^(i / bytes): what lies
// side by side stays so. digits: [kDigitsPerByte * bytes].
void packTernary(const uint8_t* digits, size_t bytes, std::byte* to);

// Whether every byte holds five digits.
bool areTernary(ByteSpan bytes);

// to[i] += scale * (digit - 1) of `count` digits from digit `first` on. The bytes are ternary.
void addTernary(ByteSpan bytes, size_t first, size_t count, int16_t scale, int16_t* to);

}  // namespace spolia::codec
