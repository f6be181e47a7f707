// What the encoder knows of a symbol: how to divide by its frequency without a division.
#pragma once

#include <bit>
#include <cstdint>

#include "codec/entropy/rans_tables.h"

namespace spolia::codec {

// For every x < frequency * 2^20, which is what a state is after the words it gave away:
//   x / frequency = ((x + increment()) * multiplier >> 32) >> shift()
// The multiplier is 2^(32 + shift) / frequency, rounded up without increment or down with one,
// whichever errs by at most half: a quotient below 2^20 leaves room for that error up to a
// frequency of 2^12.
struct RansReciprocal {
  uint32_t multiplier = 0;
  // start | (4096 - frequency) << 12 | shift << 24 | increment << 28
  uint32_t packed = 0;

  uint32_t start() const { return packed & 0xfff; }
  // With q = x / frequency, q * 4096 + x % frequency = x + q * (4096 - frequency).
  uint32_t complement() const { return packed >> 12 & 0xfff; }
  uint32_t shift() const { return packed >> 24 & 0xf; }
  uint32_t increment() const { return packed >> 28; }
  uint32_t divide(uint32_t x) const {
    return static_cast<uint32_t>(uint64_t{x + increment()} * multiplier >> 32) >> shift();
  }
};

// Of a frequency of 1 to 4096.
inline RansReciprocal reciprocalOf(uint32_t frequency, uint32_t start) {
  const auto log = static_cast<uint32_t>(std::bit_width(frequency)) - 1;
  uint32_t shift = log;
  uint32_t increment = 0;
  uint64_t multiplier = 0;
  if (frequency == 1) {
    multiplier = UINT32_MAX;
    increment = 1;
  } else if (std::has_single_bit(frequency)) {
    multiplier = uint64_t{1} << 31;
    shift = log - 1;
  } else {
    const uint64_t power = uint64_t{1} << (32 + shift);
    multiplier = power / frequency;
    increment = power % frequency <= frequency / 2;
    if (increment == 0) ++multiplier;
  }
  return {static_cast<uint32_t>(multiplier),
          start | (kRansProbabilityTotal - frequency) << 12 | shift << 24 | increment << 28};
}

}  // namespace spolia::codec
