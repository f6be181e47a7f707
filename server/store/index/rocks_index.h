// The Index on RocksDB. The only files that know RocksDB.
#pragma once

#include <filesystem>
#include <memory>

#include "server/store/index/index.h"

namespace spolia::store {

// Opens or creates the database in `directory`. kCorrupt when RocksDB cannot use what is there: the
// caller may remove the directory and rebuild.
Result<std::unique_ptr<Index>> openRocksIndex(const std::filesystem::path& directory);

}  // namespace spolia::store
