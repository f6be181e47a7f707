// A RocksDB environment whose tables read several blocks at once: the disk is told of all of them
// before the first is waited for. RocksDB itself does that only where it was built with liburing.
#pragma once

#include <rocksdb/env.h>

#include <memory>

namespace spolia::store {

// As `base` otherwise. Outlives the database that uses it; any thread.
std::unique_ptr<rocksdb::Env> readTogetherEnv(rocksdb::Env* base);

}  // namespace spolia::store
