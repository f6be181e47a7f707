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

Segment* SegmentTable::active(OpenFor what) {
  const std::optional<SegmentId>& id = active_[static_cast<size_t>(what)];
  return id ? find(*id) : nullptr;
}

const Segment* SegmentTable::active(OpenFor what) const {
  return const_cast<SegmentTable*>(this)->active(what);
}

bool SegmentTable::isActive(SegmentId id) const {
  return std::ranges::find(active_, std::optional(id)) != active_.end();
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
  const bool unused =
      segment.liveBytes == 0 && segment.pins == 0 && !segment.bad && !isActive(segment.id);
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
           !isActive(segment.id);
  });
}

bool SegmentTable::isSealed(const Segment& segment, const Outlook& outlook) const {
  return !segment.bad && segment.firstSequence != 0 && segment.unacknowledged == 0 &&
         !isActive(segment.id) && !isReusable(segment, outlook);
}

// How many words emptying it adds at most.
uint64_t SegmentTable::wordsOf(const Segment& segment, const Outlook& outlook) const {
  return oldest(segment, outlook) ? 0 : segment.tombstones;
}

Segment* SegmentTable::nextToClean(uint64_t room) {
  Segment* first = nullptr;
  Segment* least = nullptr;
  Segment* cheapest = nullptr;
  const Outlook outlook = this->outlook();
  const auto better = [](Segment& segment, const Segment* best, auto&& measure) {
    return best == nullptr || measure(segment) < measure(*best);
  };
  const auto live = [](const Segment& segment) { return segment.liveBytes; };
  const auto begun = [](const Segment& segment) { return segment.firstSequence; };
  const auto cost = [&](const Segment& segment) {
    return std::pair(segment.liveBytes + wordsOf(segment, outlook) * kLastWordBytes,
                     begun(segment));
  };
  for (Segment& segment : segments_) {
    if (!isSealed(segment, outlook)) continue;
    if (better(segment, least, live)) least = &segment;
    if (segment.liveBytes > room) continue;
    if (better(segment, first, begun)) first = &segment;
    const bool fewWords = words_.all().size() + wordsOf(segment, outlook) <= mostWords_;
    if (fewWords && better(segment, cheapest, cost)) cheapest = &segment;
  }
  if (mostWords_ > 0 && cheapest != nullptr) return cheapest;
  return first != nullptr ? first : least;
}

void SegmentTable::sealIfOldest() {
  const Segment* open = active(OpenFor::kMoves);
  if (open == nullptr || words_.all().size() <= mostWords_ / 2) return;
  if (open->firstSequence == outlook().first) clearActive(OpenFor::kMoves);
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
  return std::ranges::any_of(segments_, [](const Segment& segment) {
    return segment.end - kDiskBlock > segment.liveBytes;
  });
}

uint64_t SegmentTable::liveBytes() const {
  uint64_t total = 0;
  for (const Segment& segment : segments_) total += segment.liveBytes;
  return total;
}

}  // namespace spolia::store
