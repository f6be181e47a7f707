// The same loads on RocksDB with blob files, which stands where our store does: values in files of
// their own beside a small tree of keys. Direct reads, flushes and compactions; every write synced
// in its log; the oldest records deleted as new ones come, since it has no cap of its own.
//
// One thread calls; `depth` threads work.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "bench/store/numbered_records.h"
#include "codec/base/result.h"

namespace spolia::bench {

class BlobDb {
 public:
  virtual ~BlobDb() = default;

  // Keeps no more than `keepBytes` of payloads: records before the first of those are deleted.
  virtual Result<Load> putAll(const NumberedRecords& records, uint64_t first, uint64_t count,
                              uint64_t depth, uint64_t keepBytes) = 0;
  virtual Result<Load> getAll(const NumberedRecords& records, std::span<const uint64_t> numbers,
                              uint64_t depth) = 0;
};

Result<std::unique_ptr<BlobDb>> openBlobDb(const std::string& directory);

}  // namespace spolia::bench
