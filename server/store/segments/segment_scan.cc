#include "server/store/segments/segment_scan.h"

#include <algorithm>
#include <optional>

namespace spolia::store {
namespace {

// Payload is verified in steps of this many bytes, whole checksum blocks.
constexpr uint64_t kStep = 4 << 20;

// The record at `offset`, or nothing when none begins there that is newer than `sequence`.
Result<std::optional<RecordHeader>> headerAt(Ring& ring, const Segment& segment, uint64_t offset,
                                             uint64_t sequence) {
  if (offset + kDiskBlock > segment.size) return std::optional<RecordHeader>();
  AlignedBuffer first(kDiskBlock);
  SPOLIA_RETURN_IF_ERROR(ring.readNow(segment.file, offset, first.span()));
  const std::optional<uint32_t> length = recordHeaderLength(first.span());
  if (!length || offset + *length > segment.size) return std::optional<RecordHeader>();
  AlignedBuffer whole(*length);
  SPOLIA_RETURN_IF_ERROR(ring.readNow(segment.file, offset, whole.span()));
  Result<RecordHeader> header = parseRecordHeader(whole.span(), segment.generation, offset);
  if (!header.ok() || offset + header->recordBytes() > segment.size ||
      header->stamp.sequence <= sequence) {
    return std::optional<RecordHeader>();
  }
  return std::optional<RecordHeader>(std::move(*header));
}

Result<bool> payloadIntact(Ring& ring, const Segment& segment, const RecordHeader& header) {
  const uint64_t begin = header.stamp.offset + header.headerBytes;
  AlignedBuffer buffer(std::min(kStep, roundUpToBlock(header.meta.payloadBytes)));
  for (uint64_t at = 0; at < header.meta.payloadBytes; at += kStep) {
    const uint64_t length = std::min(kStep, header.meta.payloadBytes - at);
    buffer.resizeWithin(roundUpToBlock(length));
    SPOLIA_RETURN_IF_ERROR(ring.readNow(segment.file, begin + at, buffer.span()));
    if (!verifyBlocks(header, at / kChecksumBlock, buffer.span().first(length)).ok()) return false;
  }
  return true;
}

}  // namespace

Status scanSegment(Ring& ring, Segment& segment,
                   const std::function<void(const RecordHeader&, const RecordAddress&)>& visit) {
  uint64_t offset = segment.end;
  uint64_t sequence = segment.lastSequence;
  for (;;) {
    SPOLIA_ASSIGN_OR_RETURN(const std::optional<RecordHeader> header,
                            headerAt(ring, segment, offset, sequence));
    if (!header) return Status();
    const RecordAddress address{segment.id, segment.generation, offset, header->recordBytes()};
    offset += address.length;
    sequence = header->stamp.sequence;
    SPOLIA_ASSIGN_OR_RETURN(const bool intact, payloadIntact(ring, segment, *header));
    if (!intact) continue;
    visit(*header, address);
    segment.end = offset;
    segment.lastSequence = sequence;
    if (segment.firstSequence == 0) segment.firstSequence = header->stamp.sequence;
    if (header->tombstone) ++segment.tombstones;
  }
}

}  // namespace spolia::store
