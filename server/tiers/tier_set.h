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
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codec/base/deadlines.h"
#include "codec/chunk_exchange.h"
#include "server/store/store.h"
#include "server/tiers/lifetimes.h"

namespace spolia::tiers {

// Whose entries: the secret turns chunk ids into store keys, so that one namespace can neither read
// nor detect what another holds.
struct Namespace {
  std::string name;
  std::array<std::byte, 32> secret{};
  // Of the namespace that one under a salt is part of: they count together where space is shared.
  std::optional<std::array<std::byte, 32>> wholeSecret = {};
};

// A namespace within another: its entries are apart from those of `whole` and of other salts.
Namespace saltedNamespace(const Namespace& whole, std::string_view salt);

// The namespace of an engine that embeds its store.
Namespace embeddedNamespace();

struct ValuePut {
  ChunkId id;
  codec::EntryKind kind = codec::EntryKind::kOpaque;
  std::string label;  // at most 512 bytes; listed
  AlignedBuffer bytes;
  codec::PutMode mode = codec::PutMode::kReplace;
  AskedLifetime lifetime;
};

// Ids of a namespace's entries, some at a time; pass `next` back to go on, nothing at the end.
struct IdPage {
  std::vector<ChunkId> ids;
  std::optional<StoreKey> next;
};

class TierSet {
 public:
  // As Store::open. The memory tier takes up to so many bytes, at least MemoryTier::kLeastCapacity
  // (else kInvalidArgument) or 0 for none; it takes them only for what is asked for again.
  static Result<std::unique_ptr<TierSet>> open(const store::StoreConfig& config,
                                               uint64_t memoryBytes = 0, Lifetimes lifetimes = {});
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
  void submitStore(const Namespace& ns, AlignedBuffer stream, codec::PutOptions put,
                   uint64_t cookie, codec::ChunkQueue& queue);
  void submitRemove(const Namespace& ns, const ChunkId& id, uint64_t cookie,
                    codec::ChunkQueue& queue);
  // Small values: manifests, profiles, opaque ones.
  void submitPutValue(const Namespace& ns, ValuePut put, uint64_t cookie, codec::ChunkQueue& queue);
  // The payload as stored and what it is (`info`), of any kind: a chunk gives its whole stream,
  // side sections included (what `spolia get` writes to a file).
  void submitGetValue(const Namespace& ns, const ChunkId& id, uint64_t cookie,
                      codec::ChunkQueue& queue, Deadline deadline = kNoDeadline);

  // As Store::lease; the holder's group is the namespace. After a completion of submitSettle that
  // follows, what lookup() finds stays until the lease ends, unless it is removed or replaced.
  Result<store::LeaseGrant> lease(const Namespace& ns, uint64_t holder,
                                  std::span<const ChunkId> ids, uint64_t ttlMs);
  Result<uint64_t> renewLease(store::LeaseId id, uint64_t ttlMs);
  void endLease(store::LeaseId id);
  // Completes when all evictions are done that were decided on before.
  void submitSettle(uint64_t cookie, codec::ChunkQueue& queue);

  // From the next `looks` entries of the index on, those of this namespace, of one kind or all.
  Result<IdPage> ids(const Namespace& ns, std::optional<codec::EntryKind> kind,
                     const StoreKey& from, size_t looks);

  // Entries of one kind in this namespace, a page at a time; `cursor` empty to begin.
  // kInvalidArgument for a cursor that is not ours.
  Result<codec::EntryPage> list(const Namespace& ns, codec::EntryKind kind,
                                const std::string& cursor, size_t limit);

  // Whole entries only: kOutOfSpace naming the quota, or the store's limit, when the namespace
  // could not have one of so many bytes.
  Status fits(const Namespace& ns, uint64_t bytes) const;

  codec::StoreStats stats() const;
  // Of each namespace that has entries or a quota.
  std::vector<store::OwnerUsage> usage() const;

 private:
  class Impl;
  explicit TierSet(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace spolia::tiers
