// Recovery: brings the index up to date with the segments and yields what the running store starts
// from. A type of its own, so that nothing else can be done with a store that is not recovered.
// Blocking; one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "codec/base/digest.h"
#include "codec/base/result.h"
#include "server/store/index/index.h"
#include "server/store/index/rocks_index.h"
#include "server/store/io/ring.h"
#include "server/store/segments/segment_format.h"
#include "server/store/segments/segment_scan.h"
#include "server/store/segments/segment_table.h"

namespace spolia::store {

// "000001.seg".
std::string segmentFileName(SegmentId id);
// Of such a name; nothing for any other.
std::optional<SegmentId> segmentIdOf(const std::string& name);

class Recovery {
 public:
  Recovery(Ring& ring, Index& index) : ring_(ring), index_(index) {}

  // All of what follows, in order.
  static Result<SegmentTable> run(Ring& ring, Index& index);

  // Finds the segment files. kUnsupported for a newer format; nothing has been written then.
  Status openSegments();
  // Reads what the index has not seen yet.
  Status replay();
  // Applies it, drops index entries whose segment is gone, and counts what is live. The object is
  // of no use afterwards.
  Result<SegmentTable> finish();

 private:
  // The latest word on a key among the replayed records; a damaged one counts as a tombstone.
  struct Latest {
    uint64_t sequence = 0;
    bool tombstone = false;
    IndexEntry entry;
    bool word = false;  // beside the segments: about the record of that number, too
  };

  Status openSegment(SegmentId id, const std::string& name);
  Status readWords(const std::string& name);
  void replaySegment(Segment& segment, ScanMode mode);
  void syncFound(const std::vector<Segment>& before);
  void rescanLastWords(const std::vector<Segment>& before);
  void passOver(uint64_t horizon);
  void note(const ScannedRecord& record);
  Status applyReplayed();
  Status dropOrphans();
  void clearEnd(Segment& segment);
  void chooseActive();

  Ring& ring_;
  Index& index_;
  SegmentTable table_;
  std::unordered_map<StoreKey, Latest, DigestHash> latest_;
};

struct Recovered {
  std::unique_ptr<Index> index;
  SegmentTable table;
};

// Makes the index again from the segments alone.
Result<Recovered> rebuild(Ring& ring, const RocksIndexConfig& config);
// Opens the index and runs a Recovery. The index is a cache: a damaged one is rebuilt from the
// segments.
Result<Recovered> recoverOrRebuild(Ring& ring, const RocksIndexConfig& config);

}  // namespace spolia::store
