// RocksDatabase: a RocksDB and what keeps it usable when its files fail. After a failed write or
// background job it is never written again as it is: it can still be read, and is closed and opened
// anew once writing files works again, at most once a second. RocksDB's own ways of going on are
// not used: 7.8 may append to a log file whose last write failed.
//
// Threads: use and writable from any; write from one.
#pragma once

#include <rocksdb/db.h>

#include <chrono>
#include <memory>
#include <mutex>
#include <shared_mutex>

#include "codec/base/result.h"
#include "server/store/index/rocks_index.h"

namespace spolia::store {

// Two of these in memory, as much again in the log, a few as files that are not merged yet.
uint64_t writeBufferBytes(uint64_t shareBytes);

Status statusOfRocks(const rocksdb::Status& status);

class ErrorWatch;

class RocksDatabase {
 public:
  // kCorrupt when RocksDB cannot use what is there.
  static Result<std::unique_ptr<RocksDatabase>> open(const RocksIndexConfig& config);
  ~RocksDatabase();

  // Runs `reader` with the database, which stays open meanwhile; kUnavailable when it could not
  // even be opened for reading. `reader` must not call writable() or write().
  template <typename Reader>
  auto use(const Reader& reader) -> decltype(reader(std::declval<rocksdb::DB&>())) {
    std::shared_lock lock(gate_);
    if (!db_) return Status(ErrorCode::kUnavailable, "the index cannot be read");
    return reader(*db_);
  }
  // All or nothing; after a failure it may turn out at the next opening that it was all.
  Status write(rocksdb::WriteBatch& batch);
  // Why write() would fail. Tries to open the database anew when that is due.
  Status writable();

 private:
  explicit RocksDatabase(RocksIndexConfig config);

  rocksdb::Status openNow(bool readOnly);
  bool reopened();
  rocksdb::Status probe() const;

  const RocksIndexConfig config_;
  const std::unique_ptr<rocksdb::Env> env_;
  std::shared_mutex gate_;  // shared by users of db_, alone to exchange it
  std::unique_ptr<rocksdb::DB> db_;
  const std::shared_ptr<ErrorWatch> watch_;
  std::mutex mutex_;  // guards nextTry_
  std::chrono::steady_clock::time_point nextTry_{};
};

}  // namespace spolia::store
