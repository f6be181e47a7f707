// RecordReader: the read path. Reads a record's header and the checksum blocks that cover a range,
// and hands out nothing that was not verified. One thread, the store's I/O thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "codec/base/aligned_buffer.h"
#include "codec/base/result.h"
#include "server/store/index/index.h"
#include "server/store/io/ring_driver.h"
#include "server/store/segments/segment_format.h"
#include "server/store/segments/segment_table.h"

namespace spolia::store {

struct ReadResult {
  // kCorrupt: what is there is not what the index named, or a checksum failed. kIoError: the disk
  // failed twice.
  Status status;
  AlignedBuffer data;  // whole blocks
  uint64_t dataOffset = 0;
  uint64_t dataLength = 0;
  uint64_t bytesRead = 0;
};

class RecordReader {
  struct Read;

 public:
  using Done = std::function<void(ReadResult)>;
  // A read under way; refers to nothing once it is over.
  using Ticket = std::weak_ptr<Read>;

  // `released` is called when a read that was given up has let go of its segment.
  RecordReader(RingDriver& driver, SegmentTable& table, std::function<void()> released)
      : driver_(driver), table_(table), released_(std::move(released)) {}

  // Payload bytes [offset, offset + length) of `entry`, clipped to what there is. The segment is
  // pinned until `done` has run. `done` is called once: from RingDriver::pump(), from giveUp(), or
  // at once when the segment is gone.
  Ticket read(const IndexEntry& entry, uint64_t offset, uint64_t length, Done done);
  // Answers a read that is under way with kDeadlineExceeded. Its buffers stay the ring's and its
  // segment pinned until the ring has completed.
  void giveUp(const Ticket& ticket);

 private:
  struct Read {
    IndexEntry entry;
    uint64_t firstBlock = 0;
    size_t headerBytes = 0;
    AlignedBuffer header;  // where it is not read in one piece with the payload
    ReadResult result;
    Done done;
    uint64_t tags[2] = {};  // of the ring's requests
    int partsLeft = 0;
    int attempts = 0;
    int error = 0;
    bool givenUp = false;  // has been answered
  };

  void start(const std::shared_ptr<Read>& read, FileHandle file);
  void part(const std::shared_ptr<Read>& read, int error);
  static Status verify(Read& read);

  RingDriver& driver_;
  SegmentTable& table_;
  const std::function<void()> released_;
};

}  // namespace spolia::store
