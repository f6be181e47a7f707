// The Index on RocksDB. The only files that know RocksDB.
#pragma once

#include <filesystem>
#include <memory>

#include "server/store/index/index.h"

namespace rocksdb {
class Env;
}

namespace spolia::store {

struct RocksIndexConfig {
  std::filesystem::path directory;
  // What its files may take. Buffers and logs are sized so that they stay below that as long as
  // entries stay below entryBudget().
  uint64_t shareBytes = 64 << 20;
  // Tests put failing files here; null: the real ones. Not owned, outlives the index.
  rocksdb::Env* env = nullptr;
  // Changes nothing on the disk, and takes no writes; the database has to be there.
  bool readOnly = false;

  // How much of the share entries may take, by indexedBytes(): the rest is for logs, for what
  // compaction has not dropped yet and for its copies.
  uint64_t entryBudget() const;
};

// Shares below this leave no room for entries.
inline constexpr uint64_t kMinIndexShare = 2 << 20;

// Opens or creates the database. kCorrupt when RocksDB cannot use what is there: the caller may
// remove the directory and rebuild. After a failed background job or write it takes no writes
// (Index::writable) until the database was opened anew, which is tried at most once a second; reads
// go on.
Result<std::unique_ptr<Index>> openRocksIndex(const RocksIndexConfig& config);

}  // namespace spolia::store
