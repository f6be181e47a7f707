#include "server/store/index/rocks_index.h"

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <cstring>

#include "server/store/index/index_value.h"
#include "server/store/index/read_together.h"

namespace spolia::store {
namespace {

// Keys: 'e' + store key, 'm' + segment number.
constexpr char kEntryPrefix = 'e';
constexpr char kMarkPrefix = 'm';

rocksdb::Slice slice(ByteSpan bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

ByteSpan bytesOf(const rocksdb::Slice& s) {
  return {reinterpret_cast<const std::byte*>(s.data()), s.size()};
}

std::string entryKey(const StoreKey& key) {
  std::string out(1, kEntryPrefix);
  out.append(asText(key.span()));
  return out;
}

std::string markKey(SegmentId segment) {
  std::string out(1, kMarkPrefix);
  for (int shift = 24; shift >= 0; shift -= 8) {
    out.push_back(static_cast<char>(segment.value >> shift));
  }
  return out;
}

Status fromRocks(const rocksdb::Status& status) {
  if (status.ok()) return Status();
  ErrorCode code = ErrorCode::kIoError;
  if (status.IsCorruption()) code = ErrorCode::kCorrupt;
  if (status.IsNoSpace()) code = ErrorCode::kOutOfSpace;
  return Status(code, "index: " + status.ToString());
}

// Debian's 7.8.3 has no liburing and fixes of later versions are missing: no async_io, no WAL
// compression or recycling, two write buffers, the plain LRU cache.
rocksdb::Options options(rocksdb::Env* env) {
  rocksdb::Options o;
  o.env = env;
  o.create_if_missing = true;
  o.paranoid_checks = true;
  o.max_write_buffer_number = 2;
  o.write_buffer_size = 8 << 20;
  o.max_background_jobs = 2;
  o.keep_log_file_num = 2;
  o.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
  o.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  // All tables stay open: a limit is divided among 64 shards, and with dozens of tables each lookup
  // would open one anew. Filters and block addresses take about 3 bytes an entry.
  o.max_open_files = -1;
  // Keys and ids do not shrink, so Snappy gives no smaller files, but takes longer to read.
  o.compression = rocksdb::kLZ4Compression;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(16 << 20);
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  o.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return o;
}

class RocksIndex final : public Index {
 public:
  RocksIndex(std::unique_ptr<rocksdb::Env> env, std::unique_ptr<rocksdb::DB> db)
      : env_(std::move(env)), db_(std::move(db)) {}

  Result<std::optional<IndexEntry>> find(const StoreKey& key) override {
    rocksdb::PinnableSlice value;
    const rocksdb::Status status = db_->Get({}, db_->DefaultColumnFamily(), entryKey(key), &value);
    if (status.IsNotFound()) return std::optional<IndexEntry>();
    SPOLIA_RETURN_IF_ERROR(fromRocks(status));
    SPOLIA_ASSIGN_OR_RETURN(IndexEntry entry, parseEntry(key, bytesOf(value)));
    return std::optional<IndexEntry>(std::move(entry));
  }

  Result<std::vector<std::optional<IndexEntry>>> findMany(std::span<const StoreKey> keys) override {
    std::vector<std::string> names;
    names.reserve(keys.size());
    for (const StoreKey& key : keys) names.push_back(entryKey(key));
    const std::vector<rocksdb::Slice> slices(names.begin(), names.end());
    std::vector<rocksdb::PinnableSlice> values(keys.size());
    std::vector<rocksdb::Status> statuses(keys.size());
    db_->MultiGet({}, db_->DefaultColumnFamily(), keys.size(), slices.data(), values.data(),
                  statuses.data());
    std::vector<std::optional<IndexEntry>> out(keys.size());
    for (size_t i = 0; i < keys.size(); ++i) {
      if (statuses[i].IsNotFound()) continue;
      SPOLIA_RETURN_IF_ERROR(fromRocks(statuses[i]));
      SPOLIA_ASSIGN_OR_RETURN(out[i], parseEntry(keys[i], bytesOf(values[i])));
    }
    return out;
  }

  Status scan(const StoreKey& from, const std::function<bool(const IndexEntry&)>& visit) override {
    std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator({}));
    for (it->Seek(entryKey(from)); it->Valid(); it->Next()) {
      const rocksdb::Slice key = it->key();
      if (key.size() != 33 || key[0] != kEntryPrefix) break;
      StoreKey storeKey;
      std::memcpy(storeKey.bytes.data(), key.data() + 1, 32);
      SPOLIA_ASSIGN_OR_RETURN(const IndexEntry entry, parseEntry(storeKey, bytesOf(it->value())));
      if (!visit(entry)) break;
    }
    return fromRocks(it->status());
  }

  Result<std::vector<SegmentMark>> marks() override {
    std::vector<SegmentMark> out;
    std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator({}));
    for (it->Seek(std::string(1, kMarkPrefix)); it->Valid(); it->Next()) {
      const rocksdb::Slice key = it->key();
      if (key.size() != 5 || key[0] != kMarkPrefix) break;
      SegmentId segment;
      for (size_t i = 1; i < 5; ++i) {
        segment.value = segment.value << 8 | static_cast<uint8_t>(key[i]);
      }
      SPOLIA_ASSIGN_OR_RETURN(SegmentMark mark, parseMark(segment, bytesOf(it->value())));
      out.push_back(mark);
    }
    SPOLIA_RETURN_IF_ERROR(fromRocks(it->status()));
    return out;
  }

  Status apply(const IndexBatch& batch) override {
    rocksdb::WriteBatch write;
    for (const IndexEntry& entry : batch.puts) {
      const Bytes value = encodeEntry(entry);
      SPOLIA_RETURN_IF_ERROR(fromRocks(write.Put(entryKey(entry.meta.key), slice(value))));
    }
    for (const StoreKey& key : batch.removes) {
      SPOLIA_RETURN_IF_ERROR(fromRocks(write.Delete(entryKey(key))));
    }
    for (const SegmentMark& mark : batch.marks) {
      const Bytes value = encodeMark(mark);
      SPOLIA_RETURN_IF_ERROR(fromRocks(write.Put(markKey(mark.segment), slice(value))));
    }
    return fromRocks(db_->Write({}, &write));
  }

 private:
  std::unique_ptr<rocksdb::Env> env_;  // outlives db_
  std::unique_ptr<rocksdb::DB> db_;
};

}  // namespace

Result<std::unique_ptr<Index>> openRocksIndex(const std::filesystem::path& directory) {
  std::unique_ptr<rocksdb::Env> env = readTogetherEnv();
  rocksdb::DB* db = nullptr;
  const rocksdb::Status status = rocksdb::DB::Open(options(env.get()), directory.string(), &db);
  if (!status.ok()) {
    // Whatever stands in the way, the segments have everything: let the caller rebuild.
    const Status failure = fromRocks(status);
    if (failure.code() == ErrorCode::kOutOfSpace) return failure;
    return Status(ErrorCode::kCorrupt, failure.message());
  }
  return std::unique_ptr<Index>(
      std::make_unique<RocksIndex>(std::move(env), std::unique_ptr<rocksdb::DB>(db)));
}

}  // namespace spolia::store
