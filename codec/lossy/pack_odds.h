// Probabilities of packs of values in fixed point, the same on every machine: what built-in tables
// are made from. Pure functions; any thread.
#pragma once

#include <array>
#include <cstdint>

#include "codec/lossy/step_classes.h"

namespace spolia::codec {

// Probabilities are times this.
inline constexpr uint64_t kOddsOne = uint64_t{1} << 32;

constexpr uint64_t oddsProduct(uint64_t a, uint64_t b) {
  return (a * b) >> 32;
}

// Of every symbol of a pack; `value`: of each value from -reach to reach.
inline std::array<uint64_t, 256> packOdds(const std::array<uint64_t, 255>& value, PackForm form) {
  std::array<uint64_t, 256> out{};
  for (uint32_t symbol = 0; symbol < form.escape(); ++symbol) {
    uint64_t p = kOddsOne - 1;
    for (uint32_t rest = symbol, i = 0; i < form.values; ++i, rest /= form.base()) {
      p = oddsProduct(p, value[rest % form.base()]);
    }
    out[symbol] = p;
  }
  return out;
}

}  // namespace spolia::codec
