// SegmentCleaner: empties one segment so that it can be written again. Walks its records in order
// and has each one seen to; the segment is clean once all of them have been.
//
// What a record needs is decided by CleaningHost, the store's engine. One thread, the store's I/O
// thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "codec/base/aligned_buffer.h"
#include "codec/base/result.h"
#include "server/store/io/ring_driver.h"
#include "server/store/segments/segment_format.h"
#include "server/store/segments/segment_table.h"

namespace spolia::store {

class CleaningHost {
 public:
  using Done = std::function<void(Status)>;

  virtual ~CleaningHost() = default;

  // What stands at `address` is about to be overwritten: writes it again elsewhere, or gives it up,
  // if the index names it; else sees to it that nothing older comes back for want of it. `done` may
  // be called before this returns.
  virtual void leave(const RecordHeader& header, const RecordAddress& address, Done done) = 0;
  // A record's header could not be read, or is damaged; cleaned() follows.
  virtual void unreadable(SegmentId id) = 0;
  // All records of the segment were seen to. What was decided on them becomes durable, before any
  // of it is overwritten.
  virtual Status settle(SegmentId id) = 0;
  // The segment was walked. On success nothing in it is needed any more; on failure it keeps what
  // it has.
  virtual void cleaned(SegmentId id, Status outcome) = 0;
};

class SegmentCleaner {
 public:
  // All outlive it.
  SegmentCleaner(RingDriver& driver, SegmentTable& table, CleaningHost& host)
      : driver_(driver), table_(table), host_(host) {}

  bool busy() const { return segment_.has_value(); }
  std::optional<SegmentId> segment() const { return segment_; }

  // Not while busy. The segment is sealed: nothing is being written to it.
  void start(Segment& segment);

 private:
  void next();
  void readHeader(uint64_t bytes);
  void header(int error);
  void seen(Status status);
  void finish();

  RingDriver& driver_;
  SegmentTable& table_;
  CleaningHost& host_;
  std::optional<SegmentId> segment_;
  uint64_t offset_ = 0;
  AlignedBuffer buffer_;
  int attempts_ = 0;
  bool reading_ = false;
  bool walked_ = false;
  bool walking_ = false;
  size_t leaving_ = 0;  // records being seen to
  Status failure_;
};

}  // namespace spolia::store
