// Addresses and names inside a store, each a type of its own. Value types; any thread.
#pragma once

#include <algorithm>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "codec/base/bytes.h"
#include "codec/base/digest.h"

namespace spolia::store {

// Which segment file. Numbers are those in the files' names.
struct SegmentId {
  uint32_t value = 0;
  auto operator<=>(const SegmentId&) const = default;
};

// One life of a segment file; never used twice in a store.
struct Generation {
  uint64_t value = 0;
  auto operator<=>(const Generation&) const = default;
};

// Where a record starts and how long it is, in bytes, multiples of 4 KiB.
struct RecordAddress {
  SegmentId segment;
  Generation generation;
  uint64_t offset = 0;
  uint64_t length = 0;
  auto operator<=>(const RecordAddress&) const = default;
};

// What the store knows of an entry without reading it. `attributes` are opaque to the store, stand
// in the record's header and are limited to kMaxAttributeBytes.
struct EntryMeta {
  StoreKey key;
  uint8_t kind = 0;
  uint64_t payloadBytes = 0;
  uint64_t expiresAt = 0;  // store clock seconds; 0: never
  Bytes attributes;
  // Of what the store tells: differs from that of every other record, also of the same key. Ignored
  // in a put.
  uint64_t version = 0;
};

inline constexpr uint32_t kMaxAttributeBytes = 1024;

// What entries take: of the segments by their records, of the index's files.
struct Footprint {
  uint64_t record = 0;
  uint64_t index = 0;

  Footprint& operator+=(const Footprint& other) {
    record += other.record;
    index += other.index;
    return *this;
  }
  // Never below nothing.
  Footprint& operator-=(const Footprint& other) {
    record -= std::min(record, other.record);
    index -= std::min(index, other.index);
    return *this;
  }
  friend Footprint operator+(Footprint a, const Footprint& b) { return a += b; }
  friend Footprint operator-(Footprint a, const Footprint& b) { return a -= b; }
  bool within(const Footprint& budget) const {
    return record <= budget.record && index <= budget.index;
  }
};

// Whose an entry is: who may have a quota. 0: nobody's.
using OwnerTag = uint64_t;

// What keeping an entry is good for, told by whoever can read its attributes.
struct EntryWorth {
  bool evictable = true;            // false: goes only when it is removed or expires
  double recomputeSeconds = 0.001;  // what a hit saves
  OwnerTag owner = 0;
  bool chained = false;            // of use only with the entries that it hangs on
  uint32_t depth = 0;              // how many these are, as far as known
  std::optional<StoreKey> parent;  // the last of them; of its key at least the first 8 bytes
};

// What the records of an owner's entries may take, in bytes of the segments.
struct OwnerQuota {
  OwnerTag owner = 0;
  uint64_t bytes = 0;
};

// What a store of such a capacity would have had of what was asked for lately.
struct CapacityPoint {
  uint64_t capacityBytes = 0;
  double hitShare = 0;    // of the entries asked for
  double savedShare = 0;  // of their recompute seconds
};

struct OwnerUsage {
  OwnerTag owner = 0;
  uint64_t entries = 0;
  uint64_t usedBytes = 0;   // of their records
  uint64_t quotaBytes = 0;  // 0: none
  uint64_t evicted = 0;     // entries, since the store was opened
};

}  // namespace spolia::store
