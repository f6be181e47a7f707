#include "server/store/segments/segment_table.h"

#include <algorithm>
#include <utility>

#include "codec/base/check.h"

namespace spolia::store {

Segment* SegmentTable::find(SegmentId id) {
  const auto it = std::find_if(segments_.begin(), segments_.end(),
                               [&](const Segment& s) { return s.id == id; });
  return it == segments_.end() ? nullptr : &*it;
}

void SegmentTable::erase(SegmentId id) {
  std::erase_if(segments_, [id](const Segment& segment) { return segment.id == id; });
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

bool SegmentTable::oldest(const Segment& segment) const {
  return oldest(segment, outlook());
}

// A tombstone keeps an older put of its key from coming back when the index is rebuilt, so it may
// go only once no segment holds anything older.
bool SegmentTable::oldest(const Segment& segment, const Outlook& outlook) {
  const uint64_t others = segment.firstSequence == outlook.first ? outlook.second : outlook.first;
  return others >= segment.lastSequence;
}

SegmentTable::Outlook SegmentTable::outlook() const {
  Outlook out;
  out.unseen = doubtful();
  for (const Segment& segment : segments_) {
    if (segment.firstSequence == 0 || segment.firstSequence >= out.second) continue;
    out.second = segment.firstSequence;
    if (out.second < out.first) std::swap(out.first, out.second);
  }
  return out;
}

bool SegmentTable::isReusable(const Segment& segment, const Outlook& outlook) const {
  const bool unused = segment.liveBytes == 0 && segment.pins == 0 && !segment.bad &&
                      (!active_ || segment.id != *active_);
  if (!unused || segment.tombstones == 0 || segment.cleaned) return unused;
  return !outlook.unseen && oldest(segment, outlook);
}

Segment* SegmentTable::reusable() {
  const Outlook outlook = this->outlook();
  for (Segment& segment : segments_) {
    if (isReusable(segment, outlook)) return &segment;
  }
  return nullptr;
}

size_t SegmentTable::reusableCount() const {
  const Outlook outlook = this->outlook();
  return static_cast<size_t>(std::ranges::count_if(
      segments_, [&](const Segment& segment) { return isReusable(segment, outlook); }));
}

bool SegmentTable::waitsForReaders() const {
  return std::ranges::any_of(segments_, [this](const Segment& segment) {
    return segment.liveBytes == 0 && segment.pins > segment.unacknowledged && !segment.bad &&
           (!active_ || segment.id != *active_);
  });
}

Segment* SegmentTable::nextToClean(uint64_t room) {
  Segment* first = nullptr;
  Segment* least = nullptr;
  const Outlook outlook = this->outlook();
  for (Segment& segment : segments_) {
    const bool sealed = !segment.bad && segment.firstSequence != 0 && segment.unacknowledged == 0 &&
                        (!active_ || segment.id != *active_) && !isReusable(segment, outlook);
    if (!sealed) continue;
    if (least == nullptr || segment.liveBytes < least->liveBytes) least = &segment;
    const bool earlier = first == nullptr || segment.firstSequence < first->firstSequence;
    if (earlier && segment.liveBytes <= room) first = &segment;
  }
  return first != nullptr ? first : least;
}

uint64_t SegmentTable::oldestSequence() const {
  return doubtful() ? 0 : outlook().first;
}

SegmentId SegmentTable::nextId() const {
  SegmentId next{1};
  for (const Segment& segment : segments_) {
    next.value = std::max(next.value, segment.id.value + 1);
  }
  return next;
}

bool SegmentTable::doubtful() const {
  return unseen_ ||
         std::ranges::any_of(segments_, [](const Segment& segment) { return segment.doubtful; });
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
