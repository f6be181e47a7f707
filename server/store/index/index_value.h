// Index entries and marks as bytes, shared by every form of Index. Pure functions; any thread.
#pragma once

#include "codec/base/bytes.h"
#include "codec/base/result.h"
#include "server/store/index/index.h"

namespace spolia::store {

Bytes encodeEntry(const IndexEntry& entry);
// kCorrupt when the bytes are no entry of this version.
Result<IndexEntry> parseEntry(const StoreKey& key, ByteSpan value);
// What an entry takes in an index's files once they have settled, about.
uint64_t indexedBytes(const EntryMeta& meta);
Bytes encodeMark(const SegmentMark& mark);
Result<SegmentMark> parseMark(SegmentId segment, ByteSpan value);

}  // namespace spolia::store
