// Extents: how a value that is longer than a record is kept. The entry's own record has the first
// bytes; what follows stands in records of their own, whose keys follow from the entry's. The
// entry's attributes say that it is so: nothing else does. Value types; any thread.
#pragma once

#include <algorithm>
#include <cstdint>

#include "codec/base/digest.h"

namespace spolia::tiers {

// What records of extents have for a kind: not one of codec::EntryKind.
inline constexpr uint8_t kExtentKind = 0x80;

struct Extents {
  uint64_t bytes = 0;  // of the whole value, more than `each`
  uint32_t each = 0;   // of every extent but the last
  uint64_t nonce = 0;  // another for each writing, so that extents of two are never mixed

  static constexpr uint32_t kMostExtents = 1 << 16;

  uint32_t count() const { return static_cast<uint32_t>((bytes + each - 1) / each); }
  uint64_t offsetOf(uint32_t number) const { return uint64_t{number} * each; }
  uint64_t bytesOf(uint32_t number) const {
    return std::min<uint64_t>(each, bytes - offsetOf(number));
  }
  bool valid() const { return each > 0 && bytes > each && bytes / each < kMostExtents; }

  bool operator==(const Extents&) const = default;
};

// Of the first, the entry's own.
StoreKey extentKeyOf(const StoreKey& entry, const Extents& extents, uint32_t number);

}  // namespace spolia::tiers
