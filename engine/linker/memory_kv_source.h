// MemoryKvSource: a KvSource that keeps everything in this process's memory and answers from
// within the submission. For benchmarks that measure everything but the store, and for tests.
//
// Threads: any.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "engine/linker/kv_source.h"

namespace spolia::engine {

class MemoryKvSource : public KvSource {
 public:
  void submitOpen(const ChunkId& id, uint64_t cookie, codec::ChunkQueue& queue) override;
  void submitFetch(const ChunkId& id, const codec::KvRange& range, uint64_t cookie,
                   codec::ChunkQueue& queue) override;
  // kCorrupt when the stream does not verify.
  void submitStore(AlignedBuffer stream, codec::PutMode mode, uint64_t cookie,
                   codec::ChunkQueue& queue) override;
  void submitRemove(const ChunkId& id, uint64_t cookie, codec::ChunkQueue& queue) override;
  void submitPutValue(ValueToStore value, uint64_t cookie, codec::ChunkQueue& queue) override;
  void submitGetValue(const ChunkId& id, uint64_t cookie, codec::ChunkQueue& queue) override;
  Result<codec::EntryPage> list(codec::EntryKind kind, const std::string& cursor,
                                size_t limit) override;
  Result<codec::StoreStats> stats() override;

  size_t entries() const;

 private:
  struct Entry {
    codec::EntryInfo info;
    AlignedBuffer bytes;
    std::shared_ptr<const codec::StreamHeader> header;  // chunks only
  };

  // The entry, or null. Entries never change, so they outlive the lock.
  std::shared_ptr<const Entry> find(const ChunkId& id) const;

  mutable std::mutex mutex_;
  std::map<ChunkId, std::shared_ptr<const Entry>> entries_;  // under mutex_
};

}  // namespace spolia::engine
