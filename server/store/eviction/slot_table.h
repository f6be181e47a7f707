// SlotTable: dense numbers for keys, found by key and back. Keys are 44 uniform bits; a bucket
// gives the lower ones, what is kept for a key are the others and the next of its bucket: about
// eight bytes a key in all. It grows in parts, never shrinks, and gives numbers out again.
//
// Owned by one user; one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "server/store/eviction/eviction_policy.h"

namespace spolia::store {

class SlotTable {
 public:
  using Key = uint64_t;  // below 2^44
  static constexpr int kKeyBits = 44;

  SlotTable();

  // kNoSlot: it is not there.
  Slot find(Key key) const;
  // The number of the key, which is there from then on; kNoSlot when all 2^28 are taken.
  Slot insert(Key key);
  // The slot is taken.
  Key keyOf(Slot slot) const;
  void erase(Slot slot);
  size_t size() const { return size_; }
  size_t stateBytes() const;

 private:
  static constexpr int kHomeBits = 17;  // of the bucket at least; the rest of the key is kept
  static constexpr size_t kLinksPerPart = 1 << 14;
  static constexpr size_t kFullBucket = 10;  // keys a bucket, when there come to be more buckets
  static constexpr uint32_t kEnd = 1u << 28;
  static constexpr int kNextBits = 29;
  static constexpr size_t kLinkBytes = 7;
  static constexpr size_t kPartBytes = kLinksPerPart * kLinkBytes + 1;
  static constexpr uint32_t kFreeEnd = kEnd;

  struct Link {
    uint32_t next;  // in the bucket; kEnd + its number: none. Free: the next that is
    uint32_t rest;  // of the key: 27 bits
  };
  static_assert(kNextBits + kKeyBits - kHomeBits == 8 * kLinkBytes);

  Link at(Slot slot) const;
  void set(Slot slot, const Link& link);
  size_t bucketOf(Key key) const { return key & (heads_.size() - 1); }
  Slot takeFree();
  void grow();

  std::vector<uint32_t> heads_;                      // by bucket; kEnd + its number: empty
  std::vector<std::unique_ptr<std::byte[]>> parts_;  // links, and a byte to read beyond
  Slot used_ = 0;                                    // slots ever taken
  Slot free_ = kFreeEnd;                             // the first of those given back
  size_t size_ = 0;
};

}  // namespace spolia::store
