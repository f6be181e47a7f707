#include "server/store/index/index_value.h"

namespace spolia::store {
namespace {

constexpr uint8_t kValueVersion = 1;
// Of an entry without attributes: a key of 33 bytes, the value below, and what RocksDB adds.
constexpr uint64_t kFixedEntryBytes = 33 + 54 + 16;

}  // namespace

Bytes encodeEntry(const IndexEntry& entry) {
  ByteWriter w;
  w.u8(kValueVersion);
  w.u8(entry.meta.kind);
  w.u32(entry.address.segment.value);
  w.u64(entry.address.generation.value);
  w.u64(entry.address.offset);
  w.u64(entry.address.length);
  w.u64(entry.sequence);
  w.u64(entry.meta.payloadBytes);
  w.u64(entry.meta.expiresAt);
  w.bytes(entry.meta.attributes);
  return w.take();
}

uint64_t indexedBytes(const EntryMeta& meta) {
  return kFixedEntryBytes + meta.attributes.size();
}

Result<IndexEntry> parseEntry(const StoreKey& key, ByteSpan value) {
  ByteReader r(value);
  const uint8_t version = r.u8();
  IndexEntry entry;
  entry.meta.key = key;
  entry.meta.kind = r.u8();
  entry.address.segment.value = r.u32();
  entry.address.generation.value = r.u64();
  entry.address.offset = r.u64();
  entry.address.length = r.u64();
  entry.sequence = r.u64();
  entry.meta.payloadBytes = r.u64();
  entry.meta.expiresAt = r.u64();
  if (!r.ok() || version != kValueVersion || r.remaining() > kMaxAttributeBytes) {
    return Status(ErrorCode::kCorrupt, "index entry of " + key.hex());
  }
  entry.meta.attributes = toBytes(r.bytes(r.remaining()));
  return entry;
}

Bytes encodeMark(const SegmentMark& mark) {
  ByteWriter w;
  w.u8(kValueVersion);
  w.u64(mark.generation.value);
  w.u64(mark.offset);
  w.u64(mark.tombstones);
  w.u64(mark.firstSequence);
  w.u64(mark.lastSequence);
  return w.take();
}

Result<SegmentMark> parseMark(SegmentId segment, ByteSpan value) {
  ByteReader r(value);
  const uint8_t version = r.u8();
  SegmentMark mark;
  mark.segment = segment;
  mark.generation.value = r.u64();
  mark.offset = r.u64();
  mark.tombstones = r.u64();
  mark.firstSequence = r.u64();
  mark.lastSequence = r.u64();
  if (!r.finished() || version != kValueVersion) {
    return Status(ErrorCode::kCorrupt, "index mark of segment " + std::to_string(segment.value));
  }
  return mark;
}

}  // namespace spolia::store
