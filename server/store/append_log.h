// AppendLog: the write path. Records are appended to the active segment, made durable by one
// fdatasync for as many as have been written by then (group commit; the next one need not wait for
// it), and handed back in batches to whoever updates the index. Rolls to a free or new segment when
// the active one is full.
//
// A record counts as durable only when everything before it in its segment is: recovery stops at
// the first gap. After a failed write or sync a segment is never written or synced again, and what
// was not acknowledged in it fails.
//
// One thread, the store's I/O thread.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "codec/base/aligned_buffer.h"
#include "codec/base/result.h"
#include "server/store/index/index.h"
#include "server/store/io/ring_driver.h"
#include "server/store/segments/segment_format.h"
#include "server/store/segments/segment_table.h"

namespace spolia::store {

struct AppendLogConfig {
  uint64_t segmentBytes = 0;
  uint32_t maxSegments = 0;
  uint32_t epoch = 0;  // of this opening of the store; generations and sequences grow from it
  bool durable = true;
  // What is written while a sync runs need not wait for its end, if it is so many bytes.
  uint64_t worthSync = 1 << 20;
};

// Which room under the cap a record may take.
enum class RoomFor : uint8_t {
  kPut,        // leaves the last free segment alone
  kTombstone,  // may take it: a full store can still be emptied
  kMove,       // may also take what is kept for moves
};

struct AppendRequest {
  EntryMeta meta;
  AlignedBuffer payload;
  bool tombstone = false;
  RoomFor roomFor = RoomFor::kPut;
  OpenFor open = OpenFor::kPuts;  // of kMove: the segment it goes to rather than the other
  uint64_t cookie = 0;            // comes back
};

// A record on disk, or why it is not.
struct Appended {
  uint64_t cookie = 0;
  Status status;
  bool tombstone = false;
  RoomFor roomFor = RoomFor::kPut;
  uint64_t bytes = 0;  // of the record
  IndexEntry entry;
  AlignedBuffer memory = {};  // of the payload, where it was written
};

// The latest epoch to which a generation or sequence of these segments belongs; 0: none.
uint32_t latestEpoch(const SegmentTable& table);

class AppendLog {
 public:
  // All records of one durable step in order, with the marks to set; or one failure. Called from
  // RingDriver::pump().
  using Commit = std::function<void(std::vector<Appended>, std::vector<SegmentMark>)>;

  AppendLog(AppendLogConfig config, RingDriver& driver, SegmentTable& table, Commit commit);

  // Starts writing; the outcome comes through Commit. kOutOfSpace at once, and the request is left
  // as it was, when no segment has room and none is free under the cap; kInvalidArgument for a
  // record longer than a segment takes.
  Status append(AppendRequest& request);
  // Keeps so many bytes for moves, where no segment is free for them.
  void keepForMoves(uint64_t fromPuts, uint64_t fromTombstones) {
    keptFromPuts_ = fromPuts;
    keptFromTombstones_ = fromTombstones;
  }
  // Seals a segment that is being filled, so that it can be cleaned. kOutOfSpace.
  Status sealOne();
  // A number of a record that is not written; higher than that of any before.
  uint64_t takeSequence() { return uint64_t{config_.epoch} << kSequenceBits | ++sequences_; }
  // Bytes that moves could still be written to.
  uint64_t roomForMoves() const;
  // Segments that could be begun.
  size_t freeSegments() const;
  // Segments begun since the log was opened.
  uint64_t rolls() const { return generations_; }
  size_t pending() const { return pending_; }
  uint64_t syncs() const { return syncs_; }
  uint64_t bytesWritten() const { return bytesWritten_; }
  // What a record with so much payload takes in a segment.
  static uint64_t recordBytes(const EntryMeta& meta, uint64_t payloadBytes);
  // The longest payload a segment takes.
  uint64_t maxPayload() const;

 private:
  struct Record {
    AppendRequest request;
    RecordAddress address;
    uint64_t sequence = 0;
    AlignedBuffer header;  // where the payload has no room for it in front
    int writesLeft = 0;
    int error = 0;
  };
  // A sync on its way covers all records of its segment before the `upTo`-th.
  struct Sync {
    uint64_t number = 0;
    uint64_t upTo = 0;
    bool done = false;
  };
  // Records of one segment that are not yet acknowledged, in order of offset.
  struct Queue {
    std::deque<std::shared_ptr<Record>> records;
    uint64_t acknowledged = 0;  // records before those
    std::deque<Sync> syncs;     // as issued
    bool failed = false;        // a write or sync failed: nothing behind it can be acknowledged
  };

  bool mayTakeFree(RoomFor what, uint64_t bytes);
  Result<Segment*> segmentFor(uint64_t bytes, RoomFor what, OpenFor open);
  Result<Segment*> segmentForMove(uint64_t bytes, OpenFor open);
  Result<Segment*> roll(OpenFor open, RoomFor what, uint64_t bytes);
  uint64_t roomIn(OpenFor open) const;
  Result<Segment*> recycle(Segment& segment);
  Result<Segment*> create();
  Status zeroAhead(Segment& segment, uint64_t end);
  static void join(Record& record);
  void write(const std::shared_ptr<Record>& record, FileHandle file);
  void advance(SegmentId id);
  void synced(SegmentId id, uint64_t number, int error);
  void acknowledge(SegmentId id, size_t count);
  void failAll(SegmentId id);

  const AppendLogConfig config_;
  RingDriver& driver_;
  SegmentTable& table_;
  const Commit commit_;
  std::map<SegmentId, Queue> queues_;
  uint64_t generations_ = 0;
  uint64_t keptFromPuts_ = 0;
  uint64_t keptFromTombstones_ = 0;
  uint64_t sequences_ = 0;
  size_t pending_ = 0;
  uint64_t syncs_ = 0;
  uint64_t bytesWritten_ = 0;
};

}  // namespace spolia::store
