#include "server/store/segment_cleaner.h"

#include <utility>

#include "server/store/io/disk_files.h"
#include "server/store/recovery.h"

namespace spolia::store {
namespace {

// Records of a segment that are moved at the same time, with their payloads in memory.
constexpr size_t kMovedAtOnce = 4;
constexpr int kHeaderAttempts = 2;

}  // namespace

void SegmentCleaner::start(Segment& segment) {
  segment_ = segment.id;
  ++segment.pins;
  offset_ = kDiskBlock;
  attempts_ = 0;
  walked_ = false;
  leaving_ = 0;
  failure_ = Status();
  next();
}

// Goes on with the walk as far as it can. Records may be seen to at once, which leads back here:
// the loop takes the place of the recursion.
void SegmentCleaner::next() {
  if (walking_ || !segment_) return;
  walking_ = true;
  while (!reading_ && !walked_ && failure_.ok() && leaving_ < kMovedAtOnce) {
    const Segment& segment = *table_.find(*segment_);
    if (offset_ >= segment.end) {
      walked_ = true;
    } else {
      readHeader(kDiskBlock);
    }
  }
  walking_ = false;
  const bool over = walked_ || !failure_.ok();
  if (over && !reading_ && leaving_ == 0) finish();
}

void SegmentCleaner::readHeader(uint64_t bytes) {
  reading_ = true;
  buffer_ = AlignedBuffer(bytes);
  driver_.issue({RingOp::kRead, table_.find(*segment_)->file, offset_, buffer_.data(), bytes, 0},
                [this](int error) { header(error); });
}

void SegmentCleaner::header(int error) {
  reading_ = false;
  const Segment& segment = *table_.find(*segment_);
  const auto again = [&](Status why) {
    if (++attempts_ < kHeaderAttempts) return readHeader(kDiskBlock);
    failure_ = std::move(why).withContext(segmentFileName(segment.id));
    host_.unreadable(segment.id);
    next();
  };
  if (error != 0) return again(statusOfErrno(error, "reading a record's header"));
  const std::optional<uint32_t> length = recordHeaderLength(buffer_.span());
  if (!length) return again(Status(ErrorCode::kCorrupt, "a record's header is damaged"));
  if (*length > buffer_.size()) return readHeader(*length);
  const Result<RecordHeader> parsed =
      parseRecordHeader(buffer_.span().first(*length), segment.generation, offset_);
  if (!parsed.ok()) return again(parsed.status());
  attempts_ = 0;
  const RecordAddress address{segment.id, segment.generation, offset_, parsed->recordBytes()};
  offset_ += parsed->recordBytes();
  ++leaving_;
  host_.leave(*parsed, address, [this](Status status) { seen(std::move(status)); });
  next();
}

void SegmentCleaner::seen(Status status) {
  --leaving_;
  if (failure_.ok()) failure_ = std::move(status);
  next();
}

void SegmentCleaner::finish() {
  const SegmentId id = *std::exchange(segment_, std::nullopt);
  Segment& segment = *table_.find(id);
  --segment.pins;
  if (failure_.ok()) failure_ = host_.settle(id);
  if (failure_.ok()) segment.cleaned = true;
  host_.cleaned(id, std::exchange(failure_, Status()));
}

}  // namespace spolia::store
