// The embedded form of KvSource: a store in this process, one process per directory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string_view>
#include <unordered_set>

#include "codec/base/result.h"
#include "engine/linker/kv_source.h"

namespace spolia::engine {

struct EmbeddedStoreConfig {
  std::filesystem::path directory;  // created when absent
  uint64_t capacityBytes = 8ull << 30;
  uint64_t segmentBytes = 0;  // chosen by the capacity
  uint64_t memoryBytes = 0;   // of the tier above the disk; 0: none
  uint64_t ttlSeconds = 0;    // of all that is stored through the source; 0: without end
};

// Opens the store. kUnavailable naming the holder when another process has it, kUnsupported for a
// newer format, kInvalidArgument for a bad configuration; nothing is changed then.
Result<std::unique_ptr<SaltableKvSource>> openEmbeddedKvSource(const EmbeddedStoreConfig& config);

// SaltedSource: what is stored under one cache salt, beside what all may see. Everything goes to a
// source of the salt's own, but for the entries that were said to be shared (documents that were
// ingested for everybody), which are read where they are.
//
// Owns the salt's source, borrows the shared one. Threads: any.
class SaltedSource : public KvSource {
 public:
  SaltedSource(std::unique_ptr<KvSource> own, KvSource& shared)
      : own_(std::move(own)), shared_(shared) {}

  // From now on this entry is read from the shared source; it is never written or removed there.
  void share(const ChunkId& id);

  void submitOpen(const ChunkId& id, uint64_t cookie, codec::ChunkQueue& queue) override;
  void submitFetch(const ChunkId& id, const codec::KvRange& range, uint64_t cookie,
                   codec::ChunkQueue& queue) override;
  void submitStore(AlignedBuffer stream, codec::PutMode mode, uint64_t cookie,
                   codec::ChunkQueue& queue) override;
  void submitRemove(const ChunkId& id, uint64_t cookie, codec::ChunkQueue& queue) override;
  void submitPutValue(ValueToStore value, uint64_t cookie, codec::ChunkQueue& queue) override;
  void submitGetValue(const ChunkId& id, uint64_t cookie, codec::ChunkQueue& queue) override;
  // Of the salt's own.
  Result<codec::EntryPage> list(codec::EntryKind kind, const std::string& cursor,
                                size_t limit) override;
  Result<codec::StoreStats> stats() override;

 private:
  KvSource& sourceOf(const ChunkId& id);

  const std::unique_ptr<KvSource> own_;
  KvSource& shared_;
  std::mutex mutex_;
  std::unordered_set<ChunkId, DigestHash> sharedIds_;  // under mutex_
};

}  // namespace spolia::engine
