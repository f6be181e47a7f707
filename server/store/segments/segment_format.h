// The bytes of a segment file: a header block, then records one after the other. One set of
// constants for writer, reader and recovery; server/store/FORMAT.md tells it in words. Pure
// functions; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "codec/base/aligned_buffer.h"
#include "codec/base/bytes.h"
#include "codec/base/digest.h"
#include "codec/base/result.h"
#include "server/store/io/ring.h"
#include "server/store/store_types.h"

namespace spolia::store {

inline constexpr uint32_t kSegmentMagic = 0x47455350;  // "PSEG"
inline constexpr uint32_t kRecordMagic = 0x43455250;   // "PREC"
inline constexpr uint16_t kFormatVersion = 1;

// Payload bytes under one checksum. A range read is widened to these.
inline constexpr uint64_t kChecksumBlock = 64 << 10;
inline constexpr uint64_t kMaxRecordPayload = 64 << 20;
// magic 4, version 2, kind 1, flags 1, header bytes 4, attribute bytes 4, checksum 8, key 32,
// generation 8, sequence 8, offset 8, payload bytes 8, expiry 8, blocks 4
inline constexpr size_t kRecordFixedBytes = 4 + 2 + 1 + 1 + 4 + 4 + 8 + 32 + 8 + 8 + 8 + 8 + 8 + 4;
// Fixed part, most attributes, a checksum for each block of the longest payload.
inline constexpr uint64_t kMaxRecordHeader = roundUpToBlock(
    kRecordFixedBytes + kMaxAttributeBytes + 8 * (kMaxRecordPayload / kChecksumBlock));

// The first block of a segment file.
struct SegmentHeader {
  SegmentId id;
  Generation generation;
  uint64_t segmentBytes = 0;
};

// kDiskBlock bytes.
AlignedBuffer encodeSegmentHeader(const SegmentHeader& header);
// kCorrupt when it is not one; kUnsupported when its version is newer.
Result<SegmentHeader> parseSegmentHeader(ByteSpan block);

// Where one record stands and when it was written. Sequence numbers order all records of a store
// and rise within a segment, across openings too: what an earlier process left behind the valid end
// of a segment has a lower number than what precedes it later, and is never taken for a
// continuation.
struct RecordStamp {
  Generation generation;
  uint64_t offset = 0;  // in the segment file
  uint64_t sequence = 0;
  // All of the segment before this offset was acknowledged when the record was written: a place
  // there at which no record stands is damage, not what a crash left. 0: not known.
  uint64_t acknowledgedTo = 0;
};

// Sequence numbers have the number of the store's opening on top of a counter.
inline constexpr int kSequenceBits = 40;
constexpr uint64_t openingOf(uint64_t sequence) {
  return sequence >> kSequenceBits;
}

struct RecordHeader {
  EntryMeta meta;
  RecordStamp stamp;
  bool tombstone = false;
  uint32_t headerBytes = 0;              // multiple of kDiskBlock
  std::vector<uint64_t> blockChecksums;  // one for each kChecksumBlock of payload

  // Header and payload, padded: what the record takes in the segment.
  uint64_t recordBytes() const { return headerBytes + roundUpToBlock(meta.payloadBytes); }
};

// Header bytes of a record with so much payload and so many attribute bytes.
uint32_t recordHeaderBytes(uint64_t payloadBytes, size_t attributeBytes);

uint64_t blockChecksum(ByteSpan block, const StoreKey& key, Generation generation, uint64_t number);

// A header ready to be written; checksums are computed from `payload` (empty for a tombstone).
AlignedBuffer encodeRecordHeader(const EntryMeta& meta, const RecordStamp& stamp, bool tombstone,
                                 ByteSpan payload);

// Header length from the first block of a record; nullopt when no record of this generation and
// offset begins there.
std::optional<uint32_t> recordHeaderLength(ByteSpan firstBlock);
// The header, checked whole; kCorrupt when it is not that of a record at `offset` in `generation`.
Result<RecordHeader> parseRecordHeader(ByteSpan header, Generation generation, uint64_t offset);

// kCorrupt naming the block when payload [firstBlock * kChecksumBlock, ...) is not what the header
// says. `data` holds whole blocks, the last one as short as the payload's.
Status verifyBlocks(const RecordHeader& header, uint64_t firstBlock, ByteSpan data);

}  // namespace spolia::store
