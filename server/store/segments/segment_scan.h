// Reads the valid records of a segment one after the other, as recovery does. Blocking.
#pragma once

#include <cstdint>
#include <functional>

#include "codec/base/result.h"
#include "server/store/segments/segment_format.h"
#include "server/store/segments/segment_table.h"

namespace spolia::store {

// A record found. One that is not intact was acknowledged, and its payload is damaged since.
struct ScannedRecord {
  RecordHeader header;
  RecordAddress address;
  bool intact = true;
};

enum class ScanMode {
  kTail,  // up to the first place where no valid header stands
  // The same, but a place like that is passed over when a record behind it shows that it had been
  // acknowledged. Reads the segment to its end.
  kRebuild,
};

// Starting at segment.end, calls `visit` for each record and advances end, lastSequence,
// firstSequence and tombstones of the segment. Payloads are verified: a record with a damaged one
// is passed over, and is part of the segment only when an intact record follows.
//
// What the disk fails to read twice counts as damaged and makes the segment bad; that, and whatever
// else was passed over although it had been acknowledged, makes it doubtful.
void scanSegment(Ring& ring, Segment& segment, ScanMode mode,
                 const std::function<void(const ScannedRecord&)>& visit);

}  // namespace spolia::store
