// Random numbers and store keys that are functions of a seed and a number, so that processes agree
// on them without a list. Pure functions; any thread.
#pragma once

#include <cstdint>
#include <cstring>

#include "codec/base/digest.h"

namespace spolia::bench {

// Splitmix64's output function: consecutive numbers give independent bits.
constexpr uint64_t scrambled(uint64_t number) {
  number += 0x9e3779b97f4a7c15;
  number = (number ^ number >> 30) * 0xbf58476d1ce4e5b9;
  number = (number ^ number >> 27) * 0x94d049bb133111eb;
  return number ^ number >> 31;
}

// Numbers below 2^60.
inline StoreKey numberedKey(uint64_t number) {
  StoreKey key;
  for (uint64_t word = 0; word < 4; ++word) {
    const uint64_t bits = scrambled(number * 4 + word);
    std::memcpy(key.bytes.data() + 8 * word, &bits, sizeof bits);
  }
  return key;
}

class Random {
 public:
  explicit Random(uint64_t seed) : state_(scrambled(seed)) {}
  uint64_t next() { return scrambled(state_++); }
  uint64_t below(uint64_t limit) { return next() % limit; }

 private:
  uint64_t state_;
};

}  // namespace spolia::bench
