// TierSet: chunks and small values by chunk id and namespace, over the tiers of this process: the
// disk store, and above it a memory tier. It knows streams (headers, frames, ids); the store below
// knows bytes only. Owned by the server's main or by an engine's embedded source.
//
// Threads: every method may be called from any thread; submit* return at once and give exactly one
// completion each. The queue outlives its requests.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "codec/base/deadlines.h"
#include "codec/chunk_exchange.h"
#include "server/store/store.h"

namespace spolia::tiers {

// Whose entries: the secret turns chunk ids into store keys, so that one namespace can neither read
// nor detect what another holds.
struct Namespace {
  std::string name;
  std::array<std::byte, 32> secret{};
};

// The namespace of an engine that embeds its store.
Namespace embeddedNamespace();

struct ValuePut {
  ChunkId id;
  codec::EntryKind kind = codec::EntryKind::kOpaque;
  std::string label;  // at most 512 bytes; listed
  AlignedBuffer bytes;
  codec::PutMode mode = codec::PutMode::kReplace;
  uint64_t expiresAt = 0;
};

class TierSet {
 public:
  // As Store::open. The memory tier takes up to so many bytes, at least MemoryTier::kLeastCapacity
  // (else kInvalidArgument) or 0 for none; it takes them only for what is asked for again.
  static Result<std::unique_ptr<TierSet>> open(const store::StoreConfig& config,
                                               uint64_t memoryBytes = 0);
  ~TierSet();
  TierSet(const TierSet&) = delete;
  TierSet& operator=(const TierSet&) = delete;

  // One answer per id, in order: the entry's info or kNotFound. From the index alone.
  std::vector<Result<codec::EntryInfo>> lookup(const Namespace& ns, std::span<const ChunkId> ids);

  // Reads may have a deadline: what would have to wait for the disk beyond it is answered with
  // kDeadlineExceeded then.
  // Completion with the header, parsed and as stored (`bytes`).
  void submitOpen(const Namespace& ns, const ChunkId& id, uint64_t cookie, codec::ChunkQueue& queue,
                  Deadline deadline = kNoDeadline);
  // Completion with the smallest covering set of frames, ordered as in the stream.
  void submitFetch(const Namespace& ns, const ChunkId& id, const codec::KvRange& range,
                   uint64_t cookie, codec::ChunkQueue& queue, Deadline deadline = kNoDeadline);
  // A hint that these will be fetched: they are read into the memory tier, as far as it has room
  // for what nobody has asked for yet. Without completion; what fails is told to who fetches.
  void readAhead(const Namespace& ns, std::span<const ChunkId> ids);
  // Stores a complete stream after verifying it whole (chunk id recomputed, every frame's
  // checksum). kCorrupt or kInvalidArgument when it is not what it says; nothing is stored then.
  void submitStore(const Namespace& ns, AlignedBuffer stream, codec::PutMode mode, uint64_t cookie,
                   codec::ChunkQueue& queue);
  void submitRemove(const Namespace& ns, const ChunkId& id, uint64_t cookie,
                    codec::ChunkQueue& queue);
  // Small values: manifests, profiles, opaque ones.
  void submitPutValue(const Namespace& ns, ValuePut put, uint64_t cookie, codec::ChunkQueue& queue);
  // The payload as stored and what it is (`info`), of any kind: a chunk gives its whole stream,
  // side sections included (what `spolia get` writes to a file).
  void submitGetValue(const Namespace& ns, const ChunkId& id, uint64_t cookie,
                      codec::ChunkQueue& queue, Deadline deadline = kNoDeadline);

  // Entries of one kind in this namespace, a page at a time; `cursor` empty to begin.
  // kInvalidArgument for a cursor that is not ours.
  Result<codec::EntryPage> list(const Namespace& ns, codec::EntryKind kind,
                                const std::string& cursor, size_t limit);

  codec::StoreStats stats() const;

 private:
  class Impl;
  explicit TierSet(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace spolia::tiers
