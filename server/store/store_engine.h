// StoreEngine: what a store does, as a single-threaded machine over a ring and an index. Store puts
// a thread around it; simulations crank it by hand, so that a seed replays everything.
//
// Mutations of one key happen one after the other, in the order accepted. One thread, apart from
// figures().
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "server/store/append_log.h"
#include "server/store/index/index.h"
#include "server/store/record_reader.h"
#include "server/store/store.h"

namespace spolia::store {

// A read that found its record damaged: answered when the record is out of the way.
struct DamagedRead {
  uint64_t sequence = 0;
  StoreCompletion answer;
};

struct StoreOp {
  enum class Kind : uint8_t { kPut, kGet, kRemove };

  Kind kind = Kind::kGet;
  PutRequest put;  // kPut
  StoreKey key;    // kGet, kRemove; kPut: put.meta.key
  uint64_t offset = 0;
  uint64_t length = 0;
  uint64_t cookie = 0;
  StoreQueue* queue = nullptr;
  std::optional<DamagedRead> damaged;  // kRemove of what a read found damaged
};

struct EngineConfig {
  AppendLogConfig log;
  // Seconds; what expiry is measured by.
  std::function<uint64_t()> clock;
};

class StoreEngine {
 public:
  // Ring and index outlive it; the table is what Recovery gave.
  StoreEngine(EngineConfig config, Ring& ring, Index& index, SegmentTable table);
  StoreEngine(const StoreEngine&) = delete;
  StoreEngine& operator=(const StoreEngine&) = delete;

  void accept(StoreOp op);
  // Starts what can start and handles what has completed.
  void pump(Ring::Wait mode) { driver_.pump(mode); }
  // Nothing accepted is unfinished.
  bool idle() const { return driver_.inFlight() == 0 && mutations_.empty(); }

  // Any thread.
  StoreFigures figures() const;
  bool expired(const EntryMeta& meta) const {
    return meta.expiresAt != 0 && meta.expiresAt <= config_.clock();
  }

 private:
  struct Figures {
    std::atomic<uint64_t> entries{0}, usedBytes{0}, bytesRead{0}, bytesWritten{0};
    std::atomic<uint64_t> corruptBlocks{0}, syncs{0};
  };

  void mutate(StoreOp op);
  void startMutation(StoreOp& op);
  void startPut(StoreOp& op, const std::optional<IndexEntry>& known);
  void startRemove(StoreOp& op, const std::optional<IndexEntry>& known);
  void append(const StoreOp& op, AppendRequest request);
  void commit(std::vector<Appended> records, std::vector<SegmentMark> marks);
  void finishMutation(const StoreKey& key, StoreCompletion completion);
  void startGet(const StoreOp& op);
  void finishGet(const StoreOp& op, const IndexEntry& entry, ReadResult result);
  void quarantine(const StoreOp& op, uint64_t sequence, StoreCompletion answer);
  void refreshFigures();

  const EngineConfig config_;
  Index& index_;
  SegmentTable table_;
  RingDriver driver_;
  AppendLog log_;
  RecordReader reader_;
  // Per key with a mutation under way: it and those that wait for it.
  std::unordered_map<StoreKey, std::deque<StoreOp>, DigestHash> mutations_;
  std::unordered_map<uint64_t, StoreKey> appends_;  // by append cookie
  uint64_t nextAppend_ = 1;
  // Keys whose last append failed: its record may be on the disk all the same and come back at the
  // next opening, so removing such a key takes a tombstone even when the index has no entry.
  std::unordered_set<StoreKey, DigestHash> inDoubt_;
  Figures figures_;
  const std::string backend_;
};

}  // namespace spolia::store
