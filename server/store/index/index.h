// Index: where each live entry's record is. A cache of the segments: it may be lost and is rebuilt
// from them. rocks_index is the real form, map_index one for tests and simulations.
//
// Threads: find, findMany, scan and writable from any thread; apply from one.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "codec/base/result.h"
#include "server/store/store_types.h"

namespace spolia::store {

struct IndexEntry {
  EntryMeta meta;
  RecordAddress address;
  uint64_t sequence = 0;
};

// How far a segment's records are in the index: everything of `generation` before `offset`. What
// the segment table needs to know about them stands here too.
struct SegmentMark {
  SegmentId segment;
  Generation generation;
  uint64_t offset = 0;
  uint64_t tombstones = 0;
  uint64_t firstSequence = 0;  // 0: no record yet
  uint64_t lastSequence = 0;
};

// Applied all together or not at all.
struct IndexBatch {
  std::vector<IndexEntry> puts;
  std::vector<StoreKey> removes;
  std::vector<SegmentMark> marks;

  bool empty() const { return puts.empty() && removes.empty() && marks.empty(); }
};

class Index {
 public:
  virtual ~Index() = default;

  virtual Result<std::optional<IndexEntry>> find(const StoreKey& key) = 0;
  // The same for many at once, in their order; may read for all of them together.
  virtual Result<std::vector<std::optional<IndexEntry>>> findMany(std::span<const StoreKey> keys) {
    std::vector<std::optional<IndexEntry>> out;
    out.reserve(keys.size());
    for (const StoreKey& key : keys) {
      SPOLIA_ASSIGN_OR_RETURN(std::optional<IndexEntry> entry, find(key));
      out.push_back(std::move(entry));
    }
    return out;
  }
  // Entries in key order from `from` on, until `visit` says false. `visit` does not call the index.
  virtual Status scan(const StoreKey& from,
                      const std::function<bool(const IndexEntry&)>& visit) = 0;
  virtual Result<std::vector<SegmentMark>> marks() = 0;
  // Not synced: after a power loss a prefix of the batches is there.
  virtual Status apply(const IndexBatch& batch) = 0;
  // Why apply() would fail, when that is known: kOutOfSpace or kUnavailable. Reads go on. Goes back
  // to success by itself where what stood in the way is gone.
  virtual Status writable() = 0;
  // What its files take now, about.
  virtual uint64_t diskBytes() = 0;
};

}  // namespace spolia::store
