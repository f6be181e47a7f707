// Reads the valid records of a segment one after the other, as recovery does. Blocking.
#pragma once

#include <cstdint>
#include <functional>

#include "codec/base/result.h"
#include "server/store/segments/segment_format.h"
#include "server/store/segments/segment_table.h"

namespace spolia::store {

// Starting at segment.end, calls `visit` for each complete and intact record and advances end,
// lastSequence, firstSequence and tombstones of the segment; stops at the first place where no
// valid header stands. Payloads are verified: a record with a damaged one is passed over, and is
// part of the segment only when an intact record follows. Failures are the disk's.
Status scanSegment(Ring& ring, Segment& segment,
                   const std::function<void(const RecordHeader&, const RecordAddress&)>& visit);

}  // namespace spolia::store
