// Parsed stream headers of recently used chunks, bounded in bytes, least recently used out first.
// Owned and used by the tier thread alone.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <unordered_map>

#include "codec/codec.h"

namespace spolia::tiers {

struct CachedHeader {
  uint64_t contentTag = 0;  // of the entry it was read from
  std::shared_ptr<const codec::StreamHeader> header;
  Bytes raw;  // headerBytes of them
};

class ParsedHeaders {
 public:
  explicit ParsedHeaders(uint64_t capacityBytes) : capacityBytes_(capacityBytes) {}

  // Null unless the very content named by the tag is cached: a replaced entry has another tag.
  std::shared_ptr<const CachedHeader> find(const StoreKey& key, uint64_t contentTag);
  void insert(const StoreKey& key, std::shared_ptr<const CachedHeader> entry);
  void erase(const StoreKey& key);

  uint64_t usedBytes() const { return usedBytes_; }

 private:
  struct Slot {
    StoreKey key;
    std::shared_ptr<const CachedHeader> entry;
    uint64_t bytes = 0;
  };

  const uint64_t capacityBytes_;
  uint64_t usedBytes_ = 0;
  std::list<Slot> slots_;  // most recently used first
  std::unordered_map<StoreKey, std::list<Slot>::iterator, DigestHash> byKey_;
};

}  // namespace spolia::tiers
