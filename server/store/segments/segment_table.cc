#include "server/store/segments/segment_table.h"

#include <algorithm>

#include "codec/base/check.h"

namespace spolia::store {

Segment* SegmentTable::find(SegmentId id) {
  const auto it = std::find_if(segments_.begin(), segments_.end(),
                               [&](const Segment& s) { return s.id == id; });
  return it == segments_.end() ? nullptr : &*it;
}

Segment* SegmentTable::find(const RecordAddress& address) {
  Segment* segment = find(address.segment);
  return segment != nullptr && segment->generation == address.generation ? segment : nullptr;
}

Segment* SegmentTable::active() {
  return active_ ? find(*active_) : nullptr;
}

void SegmentTable::live(const RecordAddress& address) {
  if (Segment* segment = find(address)) segment->liveBytes += address.length;
}

void SegmentTable::dead(const RecordAddress& address) {
  Segment* segment = find(address);
  if (segment == nullptr) return;
  SPOLIA_DCHECK(segment->liveBytes >= address.length);
  segment->liveBytes -= std::min(segment->liveBytes, address.length);
}

// A tombstone keeps an older put of its key from coming back when the index is rebuilt, so it may
// go only once no segment holds anything older.
bool SegmentTable::oldest(const Segment& segment) const {
  return std::none_of(segments_.begin(), segments_.end(), [&](const Segment& other) {
    return other.id != segment.id && other.firstSequence != 0 &&
           other.firstSequence < segment.lastSequence;
  });
}

Segment* SegmentTable::reusable() {
  const bool unseen = doubtful();  // nobody knows how old what is hidden there is
  for (Segment& segment : segments_) {
    const bool unused = segment.liveBytes == 0 && segment.pins == 0 && !segment.bad &&
                        (!active_ || segment.id != *active_);
    if (unused && (segment.tombstones == 0 || (oldest(segment) && !unseen))) return &segment;
  }
  return nullptr;
}

SegmentId SegmentTable::nextId() const {
  SegmentId next{1};
  for (const Segment& segment : segments_) {
    next.value = std::max(next.value, segment.id.value + 1);
  }
  return next;
}

bool SegmentTable::doubtful() const {
  return std::any_of(segments_.begin(), segments_.end(),
                     [](const Segment& segment) { return segment.doubtful; });
}

uint64_t SegmentTable::liveBytes() const {
  uint64_t total = 0;
  for (const Segment& segment : segments_) total += segment.liveBytes;
  return total;
}

}  // namespace spolia::store
