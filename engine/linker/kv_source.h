// KvSource: where the engine gets stored chunks from and gives computed ones to. Two forms:
// embedded (a TierSet in this process) and remote (a spoliad). Owned by main; outlives its
// requests' queues.
//
// Threads: any. submit* return at once and give exactly one completion each, of the forms told in
// codec/chunk_exchange.h. A source that fails gives kUnavailable in bounded time: a miss, never a
// wait without end.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "codec/chunk_exchange.h"

namespace spolia::engine {

// An entry that is stored as it is.
struct ValueToStore {
  ChunkId id;
  codec::EntryKind kind = codec::EntryKind::kManifest;
  std::string label;  // for people: of a manifest the document's name
  AlignedBuffer bytes;
  codec::PutMode mode = codec::PutMode::kIfAbsent;
};

// Seconds that an entry lives in a source whose entries live for `ttlSeconds` (0: for ever): chunks
// of other lives need their profile.
constexpr uint64_t lifetimeOf(codec::EntryKind kind, uint64_t ttlSeconds) {
  return kind == codec::EntryKind::kProfile ? 0 : ttlSeconds;
}

class KvSource {
 public:
  virtual ~KvSource() = default;

  // The chunk's header, or kNotFound.
  virtual void submitOpen(const ChunkId& id, uint64_t cookie, codec::ChunkQueue& queue) = 0;
  // The frames that cover `range`.
  virtual void submitFetch(const ChunkId& id, const codec::KvRange& range, uint64_t cookie,
                           codec::ChunkQueue& queue) = 0;
  // Stores a complete stream.
  virtual void submitStore(AlignedBuffer stream, codec::PutMode mode, uint64_t cookie,
                           codec::ChunkQueue& queue) = 0;
  virtual void submitRemove(const ChunkId& id, uint64_t cookie, codec::ChunkQueue& queue) = 0;
  // Entries that are no chunks: manifests and profiles.
  virtual void submitPutValue(ValueToStore value, uint64_t cookie, codec::ChunkQueue& queue) = 0;
  // The bytes of any entry as stored; of a chunk its stream.
  virtual void submitGetValue(const ChunkId& id, uint64_t cookie, codec::ChunkQueue& queue) = 0;

  // Blocking; for command-line tools.
  virtual Result<codec::EntryPage> list(codec::EntryKind kind, const std::string& cursor,
                                        size_t limit) = 0;
  virtual Result<codec::StoreStats> stats() = 0;
};

// A store whose entries under a salt are apart from all others: neither read nor detected without
// it.
class SaltableKvSource : public KvSource {
 public:
  // A view of the same store, of its own life. Equal salts see the same entries, now and after a
  // restart.
  virtual std::unique_ptr<KvSource> salted(std::string_view salt) = 0;
};

}  // namespace spolia::engine
