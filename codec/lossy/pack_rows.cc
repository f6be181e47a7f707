#include "codec/lossy/pack_rows.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "codec/lossy/pack_rows.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace spolia::codec {
namespace HWY_NAMESPACE {
namespace {

// All are loops that compilers turn into each target's vectors.

template <uint32_t kValues, uint32_t kReach>
bool pack(const int16_t* HWY_RESTRICT values, size_t count, uint8_t* HWY_RESTRICT symbols) {
  constexpr PackForm kForm{kValues, kReach};
  uint16_t any = 0;
  for (size_t i = 0; i < count; ++i) {
    uint16_t symbol = 0;
    uint16_t outside = 0;
    for (uint32_t k = 0; k < kValues; ++k) {
      const auto value = static_cast<uint16_t>(values[i * kValues + k]);
      const auto digit = static_cast<uint16_t>(value + kReach);
      any = static_cast<uint16_t>(any | value);
      outside = static_cast<uint16_t>(outside | (digit >= kForm.base() ? 1 : 0));
      symbol = static_cast<uint16_t>(symbol * kForm.base() + digit);
    }
    symbols[i] = static_cast<uint8_t>(outside != 0 ? kForm.escape() : symbol);
  }
  return any != 0;
}

// Quotients by products that are exact for symbols up to the escape.
template <bool kAdd>
void unpackFour(const uint8_t* HWY_RESTRICT symbols, size_t count, int16_t scale,
                int16_t* HWY_RESTRICT to) {
  for (size_t i = 0; i < count; ++i) {
    const uint16_t symbol = symbols[i];
    const auto a = static_cast<uint16_t>(symbol * 19 >> 9);
    const auto behindA = static_cast<uint16_t>(symbol - 27 * a);
    const auto b = static_cast<uint16_t>(behindA * 57 >> 9);
    const auto behindB = static_cast<uint16_t>(behindA - 9 * b);
    const auto c = static_cast<uint16_t>(behindB * 171 >> 9);
    const auto d = static_cast<uint16_t>(behindB - 3 * c);
    int16_t* at = to + 4 * i;
    at[0] = static_cast<int16_t>((kAdd ? at[0] : 0) + (a - 1) * scale);
    at[1] = static_cast<int16_t>((kAdd ? at[1] : 0) + (b - 1) * scale);
    at[2] = static_cast<int16_t>((kAdd ? at[2] : 0) + (c - 1) * scale);
    at[3] = static_cast<int16_t>((kAdd ? at[3] : 0) + (d - 1) * scale);
  }
}

template <bool kAdd>
void unpackTwo(const uint8_t* HWY_RESTRICT symbols, size_t count, int16_t scale,
               int16_t* HWY_RESTRICT to) {
  for (size_t i = 0; i < count; ++i) {
    const uint16_t symbol = symbols[i];
    const auto high = static_cast<uint16_t>(symbol * 137 >> 11);
    const auto low = static_cast<uint16_t>(symbol - 15 * high);
    int16_t* at = to + 2 * i;
    at[0] = static_cast<int16_t>((kAdd ? at[0] : 0) + (high - 7) * scale);
    at[1] = static_cast<int16_t>((kAdd ? at[1] : 0) + (low - 7) * scale);
  }
}

template <bool kAdd>
void unpackOne(const uint8_t* HWY_RESTRICT symbols, size_t count, int16_t scale,
               int16_t* HWY_RESTRICT to) {
  for (size_t i = 0; i < count; ++i) {
    to[i] = static_cast<int16_t>((kAdd ? to[i] : 0) + (symbols[i] - 127) * scale);
  }
}

template <bool kAdd>
void unpack(const uint8_t* symbols, size_t count, uint32_t values, int16_t scale, int16_t* to) {
  if (values == 4) return unpackFour<kAdd>(symbols, count, scale, to);
  if (values == 2) return unpackTwo<kAdd>(symbols, count, scale, to);
  unpackOne<kAdd>(symbols, count, scale, to);
}

bool packHere(const int16_t* values, size_t count, PackForm form, uint8_t* symbols) {
  if (form.values == 4) return pack<4, 1>(values, count, symbols);
  if (form.values == 2) return pack<2, 7>(values, count, symbols);
  return pack<1, 127>(values, count, symbols);
}

uint8_t unpackHere(const uint8_t* symbols, size_t count, PackForm form, bool add, int16_t scale,
                   int16_t* to) {
  add ? unpack<true>(symbols, count, form.values, scale, to)
      : unpack<false>(symbols, count, form.values, scale, to);
  uint8_t most = 0;
  for (size_t i = 0; i < count; ++i) most = std::max(most, symbols[i]);
  return most;
}

void splitHere(const int16_t* HWY_RESTRICT finer, const int16_t* HWY_RESTRICT coarser, size_t count,
               uint8_t* HWY_RESTRICT digits) {
  for (size_t i = 0; i < count; ++i) {
    digits[i] = static_cast<uint8_t>(finer[i] - kLevelSplit * coarser[i] + 1);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace spolia::codec
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace spolia::codec {

HWY_EXPORT(packHere);
HWY_EXPORT(unpackHere);
HWY_EXPORT(splitHere);

bool packValues(const int16_t* values, size_t count, PackForm form, uint8_t* symbols) {
  return HWY_DYNAMIC_DISPATCH(packHere)(values, count, form, symbols);
}

uint8_t unpackSymbols(const uint8_t* symbols, size_t count, PackForm form, bool add, int16_t scale,
                      int16_t* to) {
  return HWY_DYNAMIC_DISPATCH(unpackHere)(symbols, count, form, add, scale, to);
}

void splitDigits(const int16_t* finer, const int16_t* coarser, size_t count, uint8_t* digits) {
  HWY_DYNAMIC_DISPATCH(splitHere)(finer, coarser, count, digits);
}

}  // namespace spolia::codec
#endif
