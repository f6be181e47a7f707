#include "server/store/segments/segment_format.h"

#include <algorithm>
#include <cstring>

#include "codec/base/check.h"
#include "codec/base/checksum.h"

namespace spolia::store {
namespace {

constexpr uint8_t kTombstoneFlag = 1;
constexpr uint8_t kAcknowledgedFlag = 2;  // acknowledgedTo stands behind the checksums
constexpr size_t kRecordChecksumAt = 4 + 2 + 1 + 1 + 4 + 4;
constexpr size_t kSegmentChecksumAt = 4 + 2 + 2;

// Checksum of a header block whose checksum field counts as zero.
uint64_t headerChecksum(ByteSpan header, size_t fieldAt, uint64_t seed) {
  Bytes copy = toBytes(header);
  std::memset(copy.data() + fieldAt, 0, sizeof(uint64_t));
  return xxh3(copy, seed);
}

AlignedBuffer sealed(ByteWriter& writer, size_t bytes, size_t checksumAt, uint64_t seed) {
  AlignedBuffer out = AlignedBuffer::zeroed(bytes);
  SPOLIA_CHECK(writer.size() <= bytes);
  std::memcpy(out.data(), writer.view().data(), writer.size());
  const uint64_t checksum = headerChecksum(out.span(), checksumAt, seed);
  std::memcpy(out.data() + checksumAt, &checksum, sizeof checksum);
  return out;
}

uint64_t blocksOf(uint64_t payloadBytes) {
  return (payloadBytes + kChecksumBlock - 1) / kChecksumBlock;
}

Status notARecord(const char* why) {
  return Status(ErrorCode::kCorrupt, std::string("record header: ") + why);
}

}  // namespace

AlignedBuffer encodeSegmentHeader(const SegmentHeader& header) {
  ByteWriter w;
  w.u32(kSegmentMagic);
  w.u16(kFormatVersion);
  w.u16(0);
  w.u64(0);  // checksum
  w.u32(header.id.value);
  w.u32(0);
  w.u64(header.generation.value);
  w.u64(header.segmentBytes);
  return sealed(w, kDiskBlock, kSegmentChecksumAt, 0);
}

Result<SegmentHeader> parseSegmentHeader(ByteSpan block) {
  ByteReader r(block);
  const bool magic = r.u32() == kSegmentMagic;
  const uint16_t version = r.u16();
  r.u16();
  const uint64_t checksum = r.u64();
  SegmentHeader header;
  header.id.value = r.u32();
  r.u32();
  header.generation.value = r.u64();
  header.segmentBytes = r.u64();
  if (!r.ok() || !magic || block.size() != kDiskBlock) {
    return Status(ErrorCode::kCorrupt, "no segment header");
  }
  if (version > kFormatVersion) {
    return Status(ErrorCode::kUnsupported, "segment format version " + std::to_string(version) +
                                               ", expected at most " +
                                               std::to_string(kFormatVersion));
  }
  if (headerChecksum(block, kSegmentChecksumAt, 0) != checksum) {
    return Status(ErrorCode::kCorrupt, "segment header checksum");
  }
  return header;
}

uint32_t recordHeaderBytes(uint64_t payloadBytes, size_t attributeBytes) {
  return static_cast<uint32_t>(
      roundUpToBlock(kRecordFixedBytes + attributeBytes + 8 * blocksOf(payloadBytes)));
}

uint64_t blockChecksum(ByteSpan block, const StoreKey& key, Generation generation,
                       uint64_t number) {
  // The seed binds the block to its record and place: a block of another record, generation or
  // number fails even when it is intact.
  ByteWriter seed;
  seed.bytes(key.span());
  seed.u64(generation.value);
  seed.u64(number);
  return xxh3(block, xxh3(seed.view()));
}

AlignedBuffer encodeRecordHeader(const EntryMeta& meta, const RecordStamp& stamp, bool tombstone,
                                 ByteSpan payload) {
  SPOLIA_CHECK(meta.attributes.size() <= kMaxAttributeBytes);
  SPOLIA_CHECK(payload.size() <= kMaxRecordPayload);
  const uint32_t bytes = recordHeaderBytes(payload.size(), meta.attributes.size());
  // It takes of the padding what it needs; a header without so much goes without it.
  const size_t used = kRecordFixedBytes + meta.attributes.size() + 8 * blocksOf(payload.size());
  const bool acknowledged = stamp.acknowledgedTo != 0 && bytes - used >= sizeof(uint64_t);
  ByteWriter w;
  w.u32(kRecordMagic);
  w.u16(kFormatVersion);
  w.u8(meta.kind);
  w.u8(static_cast<uint8_t>((tombstone ? kTombstoneFlag : 0) |
                            (acknowledged ? kAcknowledgedFlag : 0)));
  w.u32(bytes);
  w.u32(static_cast<uint32_t>(meta.attributes.size()));
  w.u64(0);  // checksum
  w.bytes(meta.key.span());
  w.u64(stamp.generation.value);
  w.u64(stamp.sequence);
  w.u64(stamp.offset);
  w.u64(payload.size());
  w.u64(meta.expiresAt);
  w.u32(static_cast<uint32_t>(blocksOf(payload.size())));
  SPOLIA_CHECK(w.size() == kRecordFixedBytes);
  w.bytes(meta.attributes);
  for (uint64_t at = 0; at < payload.size(); at += kChecksumBlock) {
    const ByteSpan block = payload.subspan(at, std::min(kChecksumBlock, payload.size() - at));
    w.u64(blockChecksum(block, meta.key, stamp.generation, at / kChecksumBlock));
  }
  if (acknowledged) w.u64(stamp.acknowledgedTo);
  return sealed(w, bytes, kRecordChecksumAt, stamp.generation.value);
}

std::optional<uint32_t> recordHeaderLength(ByteSpan firstBlock) {
  ByteReader r(firstBlock);
  if (r.u32() != kRecordMagic) return std::nullopt;
  r.skip(4);
  const uint32_t bytes = r.u32();
  const bool sane = bytes % kDiskBlock == 0 && bytes > 0 && bytes <= kMaxRecordHeader;
  return r.ok() && sane ? std::optional(bytes) : std::nullopt;
}

Result<RecordHeader> parseRecordHeader(ByteSpan header, Generation generation, uint64_t offset) {
  ByteReader r(header);
  if (r.u32() != kRecordMagic) return notARecord("no magic");
  if (r.u16() != kFormatVersion) return notARecord("version");
  RecordHeader out;
  out.meta.kind = r.u8();
  const uint8_t flags = r.u8();
  out.tombstone = (flags & kTombstoneFlag) != 0;
  out.headerBytes = r.u32();
  const uint32_t attributeBytes = r.u32();
  const uint64_t checksum = r.u64();
  const ByteSpan key = r.bytes(32);
  if (key.size() == 32) std::memcpy(out.meta.key.bytes.data(), key.data(), 32);
  out.stamp.generation.value = r.u64();
  out.stamp.sequence = r.u64();
  out.stamp.offset = r.u64();
  out.meta.payloadBytes = r.u64();
  out.meta.expiresAt = r.u64();
  const uint32_t blocks = r.u32();
  if (!r.ok() || out.headerBytes != header.size()) return notARecord("length");
  if (headerChecksum(header, kRecordChecksumAt, generation.value) != checksum) {
    return notARecord("checksum");
  }
  if (out.stamp.generation != generation || out.stamp.offset != offset) {
    return notARecord("written for another place");
  }
  if (out.meta.payloadBytes > kMaxRecordPayload || attributeBytes > kMaxAttributeBytes ||
      blocks != blocksOf(out.meta.payloadBytes) ||
      out.headerBytes != recordHeaderBytes(out.meta.payloadBytes, attributeBytes)) {
    return notARecord("lengths do not fit each other");
  }
  out.meta.attributes = toBytes(r.bytes(attributeBytes));
  for (uint32_t i = 0; i < blocks; ++i) out.blockChecksums.push_back(r.u64());
  if ((flags & kAcknowledgedFlag) != 0) out.stamp.acknowledgedTo = r.u64();
  return r.ok() ? Result<RecordHeader>(std::move(out)) : notARecord("too short");
}

Status verifyBlocks(const RecordHeader& header, uint64_t firstBlock, ByteSpan data) {
  for (uint64_t number = firstBlock; !data.empty(); ++number) {
    const uint64_t begin = number * kChecksumBlock;
    if (begin >= header.meta.payloadBytes) {
      return Status(ErrorCode::kCorrupt, "more data than the record has");
    }
    const uint64_t length = std::min(kChecksumBlock, header.meta.payloadBytes - begin);
    if (length > data.size() ||
        blockChecksum(data.first(length), header.meta.key, header.stamp.generation, number) !=
            header.blockChecksums[number]) {
      return Status(ErrorCode::kCorrupt, "checksum of block " + std::to_string(number));
    }
    data = data.subspan(length);
  }
  return Status();
}

}  // namespace spolia::store
