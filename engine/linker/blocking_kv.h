// BlockingKv: one request at a time to a KvSource, waiting for its answer; for ingestion and
// command lines. Borrows the source. One thread.
#pragma once

#include <string>

#include "engine/linker/kv_source.h"

namespace spolia::engine {

class BlockingKv {
 public:
  explicit BlockingKv(KvSource& source) : source_(source) {}

  // A completion whose status is not ok becomes that status.
  Result<codec::ChunkCompletion> open(const ChunkId& id);
  Result<codec::ChunkCompletion> getValue(const ChunkId& id);
  Status putManifest(const ChunkId& id, const std::string& label, AlignedBuffer bytes);
  // Absence counts as success.
  Status remove(const ChunkId& id);

 private:
  Result<codec::ChunkCompletion> wait();

  KvSource& source_;
  codec::ChunkQueue queue_;
};

}  // namespace spolia::engine
