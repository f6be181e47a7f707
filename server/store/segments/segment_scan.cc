#include "server/store/segments/segment_scan.h"

#include <algorithm>
#include <map>
#include <optional>

namespace spolia::store {
namespace {

// Payload is verified in steps of this many bytes, whole checksum blocks.
constexpr uint64_t kStep = 4 << 20;
// What lies behind a gap is looked for in steps of this many bytes.
constexpr uint64_t kSearchStep = 256 << 10;

class Scan {
 public:
  Scan(Ring& ring, Segment& segment, const std::function<void(const ScannedRecord&)>& visit)
      : ring_(ring),
        segment_(segment),
        visit_(visit),
        offset_(segment.end),
        sequence_(segment.lastSequence) {}

  void run(ScanMode mode) {
    for (;;) {
      std::optional<RecordHeader> header = headerAt(offset_, sequence_);
      if (header) {
        accept(std::move(*header));
      } else if (mode == ScanMode::kTail || !skipGap()) {
        break;
      }
    }
    reportDamaged();
  }

 private:
  // False when the disk failed twice.
  bool read(uint64_t offset, MutableByteSpan out) {
    if (ring_.readNow(segment_.file, offset, out).ok()) return true;
    if (ring_.readNow(segment_.file, offset, out).ok()) return true;
    segment_.bad = segment_.doubtful = true;
    return false;
  }

  // The record at `offset`, or nothing when none begins there that is newer than `sequence`. One
  // that looks like a record and is none is read again: the mistake may be the reading's.
  std::optional<RecordHeader> headerAt(uint64_t offset, uint64_t sequence) {
    if (offset + kDiskBlock > segment_.size) return std::nullopt;
    AlignedBuffer first(kDiskBlock);
    for (int attempt = 0; attempt < 2; ++attempt) {
      if (!read(offset, first.span())) return std::nullopt;
      const std::optional<uint32_t> length = recordHeaderLength(first.span());
      if (!length || offset + *length > segment_.size) continue;
      AlignedBuffer whole(*length);
      if (!read(offset, whole.span())) return std::nullopt;
      Result<RecordHeader> header = parseRecordHeader(whole.span(), segment_.generation, offset);
      if (!header.ok()) continue;
      const bool fits = offset + header->recordBytes() <= segment_.size;
      return fits && header->stamp.sequence > sequence ? std::optional(std::move(*header))
                                                       : std::nullopt;
    }
    return std::nullopt;
  }

  bool payloadIntact(const RecordHeader& header) {
    const uint64_t begin = header.stamp.offset + header.headerBytes;
    AlignedBuffer buffer(std::min(kStep, roundUpToBlock(header.meta.payloadBytes)));
    for (uint64_t at = 0; at < header.meta.payloadBytes; at += kStep) {
      const uint64_t length = std::min(kStep, header.meta.payloadBytes - at);
      buffer.resizeWithin(roundUpToBlock(length));
      const auto holds = [&] {
        return read(begin + at, buffer.span()) &&
               verifyBlocks(header, at / kChecksumBlock, buffer.span().first(length)).ok();
      };
      if (!holds() && !holds()) return false;
    }
    return true;
  }

  void accept(RecordHeader header) {
    const RecordAddress address{segment_.id, segment_.generation, offset_, header.recordBytes()};
    offset_ += address.length;
    sequence_ = header.stamp.sequence;
    uint64_t& acknowledged = acknowledgedTo_[openingOf(sequence_)];
    acknowledged = std::max(acknowledged, header.stamp.acknowledgedTo);
    const bool intact = payloadIntact(header);
    if (!intact) {
      damaged_.push_back({std::move(header), address, false});
      return;
    }
    segment_.end = offset_;
    segment_.lastSequence = sequence_;
    if (segment_.firstSequence == 0) segment_.firstSequence = sequence_;
    if (header.tombstone) ++segment_.tombstones;
    visit_({std::move(header), address, true});
  }

  // A damaged payload that was never acknowledged is what a crash left: as if it were not there.
  // Only the same opening knows: a later one goes on behind what it found, torn or not.
  void reportDamaged() {
    for (const ScannedRecord& record : damaged_) {
      const uint64_t acknowledged = acknowledgedTo_[openingOf(record.header.stamp.sequence)];
      if (record.address.offset + record.address.length > acknowledged) continue;
      segment_.doubtful = true;
      visit_(record);
    }
  }

  // Moves on to the next record before which everything had been acknowledged, as it says itself or
  // one behind it does: what stands between was damaged later. Without one the segment ends here: a
  // crash leaves records behind a hole that nobody was promised.
  bool skipGap() {
    std::vector<uint64_t> found;
    uint64_t sequence = sequence_;
    uint64_t acknowledged = 0;
    uint64_t from = offset_ + kDiskBlock;
    while (const std::optional<RecordHeader> header = nextHeader(from, sequence)) {
      found.push_back(header->stamp.offset);
      sequence = header->stamp.sequence;
      acknowledged = std::max(acknowledged, header->stamp.acknowledgedTo);
      from = header->stamp.offset + header->recordBytes();
      if (found.front() > acknowledged) continue;
      offset_ = found.front();
      segment_.doubtful = true;
      return true;
    }
    return false;
  }

  // The first record at or behind `from`.
  std::optional<RecordHeader> nextHeader(uint64_t from, uint64_t sequence) {
    AlignedBuffer buffer(kSearchStep);
    while (from + kDiskBlock <= segment_.size) {
      uint64_t length = std::min(kSearchStep, (segment_.size - from) / kDiskBlock * kDiskBlock);
      if (!ring_.readNow(segment_.file, from, buffer.span().first(length)).ok()) {
        length = kDiskBlock;  // one bad block at a time
        if (!read(from, buffer.span().first(length)))
          std::fill_n(buffer.data(), length, std::byte{});
      }
      for (uint64_t at = 0; at < length; at += kDiskBlock) {
        if (!recordHeaderLength(buffer.span().subspan(at, kDiskBlock))) continue;
        if (auto header = headerAt(from + at, sequence)) return header;
      }
      from += length;
    }
    return std::nullopt;
  }

  Ring& ring_;
  Segment& segment_;
  const std::function<void(const ScannedRecord&)>& visit_;
  uint64_t offset_;
  uint64_t sequence_;
  std::map<uint64_t, uint64_t> acknowledgedTo_;  // by opening: an offset
  std::vector<ScannedRecord> damaged_;
};

}  // namespace

void scanSegment(Ring& ring, Segment& segment, ScanMode mode,
                 const std::function<void(const ScannedRecord&)>& visit) {
  Scan(ring, segment, visit).run(mode);
}

}  // namespace spolia::store
