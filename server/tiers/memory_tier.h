// MemoryTier: payload bytes of entries, above the store, in the blocks by which the store verifies
// them. It holds what was asked for again, never more than its capacity, and nothing but what its
// callers put in: they verify first, and they name the version that the index has now, so that
// bytes of an entry that was replaced, removed or evicted are never found.
//
// It owns its bytes; find() lends them, and a reader copies what it wants, once. Owned and used by
// the tier thread alone, apart from figures().
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "codec/base/bytes.h"
#include "codec/base/digest.h"
#include "server/store/eviction/ghost_table.h"
#include "server/store/eviction/s3_fifo_policy.h"
#include "server/store/eviction/slot_lists.h"

namespace spolia::tiers {

// Part `block` of an entry's payload: bytes from block * kBlockBytes on.
struct BlockId {
  StoreKey key;
  uint64_t version = 0;  // EntryMeta::version
  uint32_t block = 0;
};

// Read from any thread.
struct MemoryFigures {
  std::atomic<uint64_t> usedBytes{0};      // bookkeeping included
  std::atomic<uint64_t> admittedBytes{0};  // put in because they were asked for again
  std::atomic<uint64_t> aheadBytes{0};     // put in before they were asked for
  std::atomic<uint64_t> evictedBytes{0};   // given up for others
};

class MemoryTier {
 public:
  static constexpr uint64_t kBlockBytes = 64u << 10;
  // A smaller one, other than 0, is not worth its bookkeeping.
  static constexpr uint64_t kLeastCapacity = 1u << 20;

  // 0: holds nothing.
  explicit MemoryTier(uint64_t capacityBytes);
  MemoryTier(const MemoryTier&) = delete;
  MemoryTier& operator=(const MemoryTier&) = delete;

  // The block's bytes, valid until the next insert or drop; empty when it is not held. Counts as a
  // use. What is held of other versions of the entry goes.
  ByteSpan find(const BlockId& id);
  // The same without using it.
  bool holds(const BlockId& id) const;

  // A block that is not held is asked for. True when it was asked for lately, too: then it is worth
  // holding once it has been read. Once for each request.
  bool ask(const StoreKey& key, uint32_t block);

  enum class Entrance : uint8_t { kAsked, kAhead };
  // Holds a copy of the block's bytes, at most kBlockBytes, giving up others for it. Ignored when
  // it is held, when a newer version is, and when it cannot fit.
  void insert(const BlockId& id, ByteSpan bytes, Entrance entrance);
  // Everything of this entry goes.
  void drop(const StoreKey& key);

  // How many bytes more may be read ahead, when `pending` are on their way. Those read ahead long
  // before `nowMs` (any clock that does not go back) and never asked for go first.
  uint64_t roomAhead(uint64_t pending, uint64_t nowMs);

  uint64_t capacity() const { return capacity_; }
  // Never more than the capacity when a call returns.
  uint64_t usedBytes() const;
  const MemoryFigures& figures() const { return figures_; }

 private:
  using Slot = store::Slot;
  struct Held {
    std::unique_ptr<std::byte[]> bytes;
    uint32_t size = 0;
    uint32_t block = 0;
    const StoreKey* key = nullptr;  // in entries_
    uint64_t aheadMs = 0;           // when it was read ahead
  };
  struct Place {
    uint32_t block = 0;
    Slot slot = store::kNoSlot;
  };
  struct Entry {
    uint64_t version = 0;
    std::vector<Place> places;  // by block, ascending
  };
  using Entries = std::unordered_map<StoreKey, Entry, DigestHash>;

  Slot slotOf(const BlockId& id) const;
  bool makeRoom(uint64_t bytes);
  Slot takeSlot();
  void release(Slot slot, store::Departure why);
  void releaseAll(Entries::iterator entry);
  void refreshFigures();

  const uint64_t capacity_;
  store::S3FifoPolicy policy_;
  store::GhostTable asked_;
  store::SlotLists ahead_;  // read ahead and not asked for, in that order
  Entries entries_;
  std::vector<Held> held_;  // by slot
  std::vector<Slot> free_;  // slots of held_ that are not taken
  MemoryFigures figures_;
  uint64_t nowMs_ = 0;
};

}  // namespace spolia::tiers
