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

// `unseen`: nobody knows how old what is hidden in some segment is.
bool SegmentTable::isReusable(const Segment& segment, bool unseen) const {
  const bool unused = segment.liveBytes == 0 && segment.pins == 0 && !segment.bad &&
                      (!active_ || segment.id != *active_);
  return unused && (segment.tombstones == 0 || segment.cleaned || (!unseen && oldest(segment)));
}

Segment* SegmentTable::reusable() {
  const bool unseen = doubtful();
  for (Segment& segment : segments_) {
    if (isReusable(segment, unseen)) return &segment;
  }
  return nullptr;
}

size_t SegmentTable::reusableCount() const {
  const bool unseen = doubtful();
  return static_cast<size_t>(std::ranges::count_if(
      segments_, [&](const Segment& segment) { return isReusable(segment, unseen); }));
}

bool SegmentTable::waitsForReaders() const {
  return std::ranges::any_of(segments_, [this](const Segment& segment) {
    return segment.liveBytes == 0 && segment.pins > segment.unacknowledged && !segment.bad &&
           (!active_ || segment.id != *active_);
  });
}

Segment* SegmentTable::nextToClean() {
  Segment* first = nullptr;
  const bool unseen = doubtful();
  for (Segment& segment : segments_) {
    const bool sealed = !segment.bad && segment.firstSequence != 0 && segment.unacknowledged == 0 &&
                        (!active_ || segment.id != *active_) && !isReusable(segment, unseen);
    if (sealed && (first == nullptr || segment.firstSequence < first->firstSequence)) {
      first = &segment;
    }
  }
  return first;
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

bool SegmentTable::mayHoldEvicted() const {
  return std::ranges::any_of(segments_,
                             [](const Segment& segment) { return segment.tombstones > 0; });
}

uint64_t SegmentTable::liveBytes() const {
  uint64_t total = 0;
  for (const Segment& segment : segments_) total += segment.liveBytes;
  return total;
}

}  // namespace spolia::store
