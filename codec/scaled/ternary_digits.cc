#include "codec/scaled/ternary_digits.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "codec/scaled/ternary_digits.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#ifndef SPOLIA_CODEC_TERNARY_DIGITS_ONCE
#define SPOLIA_CODEC_TERNARY_DIGITS_ONCE
namespace spolia::codec {
namespace {

constexpr uint32_t kTernaryValues = 243;  // 3^5

// Of a byte below 3^5: 65536 / 3^k, rounded up, is exact for that much.
template <uint32_t kPower>
constexpr uint16_t shiftedDown(uint8_t byte) {
  constexpr uint32_t kInverse[] = {65536, 21846, 7282, 2428, 810};
  if constexpr (kPower == 0) return byte;
  if constexpr (kPower == kDigitsPerByte) return 0;
  return static_cast<uint16_t>(byte * kInverse[kPower % kDigitsPerByte] >> 16);
}

}  // namespace
}  // namespace spolia::codec
#endif

HWY_BEFORE_NAMESPACE();
namespace spolia::codec {
namespace HWY_NAMESPACE {
namespace {

// Loops that compilers turn into each target's vectors.
void packHere(const uint8_t* digits, size_t bytes, std::byte* to) {
  for (size_t i = 0; i < bytes; ++i) {
    uint8_t sum = digits[4 * bytes + i];
    for (size_t place = 4; place-- > 0;) {
      sum = static_cast<uint8_t>(sum * 3 + digits[place * bytes + i]);
    }
    to[i] = static_cast<std::byte>(sum);
  }
}

bool ternaryHere(const uint8_t* bytes, size_t count) {
  uint8_t most = 0;
  for (size_t i = 0; i < count; ++i) most = std::max(most, bytes[i]);
  return most < kTernaryValues;
}

template <uint32_t kPlace>
void addPlace(const uint8_t* bytes, size_t count, int16_t scale, int16_t* HWY_RESTRICT to) {
  for (size_t i = 0; i < count; ++i) {
    const int digit = shiftedDown<kPlace>(bytes[i]) - 3 * shiftedDown<kPlace + 1>(bytes[i]) - 1;
    to[i] = static_cast<int16_t>(to[i] + digit * scale);
  }
}

void addHere(const uint8_t* bytes, size_t place, size_t count, int16_t scale, int16_t* to) {
  switch (place) {
    case 0:
      return addPlace<0>(bytes, count, scale, to);
    case 1:
      return addPlace<1>(bytes, count, scale, to);
    case 2:
      return addPlace<2>(bytes, count, scale, to);
    case 3:
      return addPlace<3>(bytes, count, scale, to);
    default:
      return addPlace<4>(bytes, count, scale, to);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace spolia::codec
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace spolia::codec {

HWY_EXPORT(packHere);
HWY_EXPORT(ternaryHere);
HWY_EXPORT(addHere);

void packTernary(const uint8_t* digits, size_t bytes, std::byte* to) {
  HWY_DYNAMIC_DISPATCH(packHere)(digits, bytes, to);
}

bool areTernary(ByteSpan bytes) {
  return HWY_DYNAMIC_DISPATCH(ternaryHere)(reinterpret_cast<const uint8_t*>(bytes.data()),
                                           bytes.size());
}

void addTernary(ByteSpan bytes, size_t first, size_t count, int16_t scale, int16_t* to) {
  const auto* from = reinterpret_cast<const uint8_t*>(bytes.data());
  while (count > 0) {
    const size_t at = first % bytes.size();
    const size_t run = std::min(count, bytes.size() - at);
    HWY_DYNAMIC_DISPATCH(addHere)(from + at, first / bytes.size(), run, scale, to);
    first += run;
    to += run;
    count -= run;
  }
}

}  // namespace spolia::codec
#endif
