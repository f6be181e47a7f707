#include "server/store/index/rocks_database.h"

#include <rocksdb/cache.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <cstdarg>
#include <string>

#include "server/store/index/read_together.h"

namespace spolia::store {
namespace {

// Its files besides entries: options, manifests.
constexpr uint64_t kFixedBytes = 512 << 10;
constexpr int kMostUnmerged = 6;
constexpr auto kTryEvery = std::chrono::seconds(1);

// In place of RocksDB's own file of messages, which ends the process where it cannot be
// written: 7.8 asserts that nothing is appended to a file after a failure, and appends the next
// message. What goes wrong is told by statuses.
class NoMessages final : public rocksdb::Logger {
 public:
  NoMessages() : Logger(rocksdb::InfoLogLevel::FATAL_LEVEL) {}
  using Logger::Logv;
  void Logv(const char*, va_list) override {}
};

// Debian's 7.8.3 has no liburing and fixes of later versions are missing: no async_io, no WAL
// compression or recycling, two write buffers, the plain LRU cache.
rocksdb::Options optionsOf(const RocksIndexConfig& config, rocksdb::Env* env) {
  rocksdb::Options o;
  o.create_if_missing = true;
  o.paranoid_checks = true;
  o.max_write_buffer_number = 2;
  o.write_buffer_size = writeBufferBytes(config.shareBytes);
  o.target_file_size_base =
      std::clamp<uint64_t>(config.shareBytes / 16, o.write_buffer_size, 64 << 20);
  o.max_bytes_for_level_base = 4 * o.write_buffer_size;
  // Writes wait for compaction rather than fill the share with what it has not merged.
  o.level0_file_num_compaction_trigger = 2;
  o.level0_slowdown_writes_trigger = 4;
  o.level0_stop_writes_trigger = kMostUnmerged;
  o.level_compaction_dynamic_level_bytes = true;
  o.max_background_jobs = 2;
  o.max_bgerror_resume_count = 0;
  o.max_manifest_file_size = 128 << 10;
  o.manifest_preallocation_size = 16 << 10;
  o.allow_fallocate = false;
  o.info_log = std::make_shared<NoMessages>();
  o.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  // All tables stay open: a limit is divided among 64 shards, and with dozens of tables each lookup
  // would open one anew. Filters and block addresses take about 3 bytes an entry.
  o.max_open_files = -1;
  // Keys and ids do not shrink, so Snappy gives no smaller files, but takes longer to read.
  o.compression = rocksdb::kLZ4Compression;
  o.env = env;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(16 << 20);
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  o.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return o;
}

}  // namespace

// Remembers why the database is not to be written any more. Any thread.
class ErrorWatch final : public rocksdb::EventListener {
 public:
  void OnBackgroundError(rocksdb::BackgroundErrorReason, rocksdb::Status* error) override {
    // Softer ones do not keep it from writing.
    if (error->severity() >= rocksdb::Status::kHardError) failed(*error);
  }
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status, bool* goOn) override {
    *goOn = false;
  }
  void failed(const rocksdb::Status& error) {
    std::lock_guard lock(mutex_);
    error_ = error;
  }
  void clear() { failed(rocksdb::Status()); }
  rocksdb::Status error() {
    std::lock_guard lock(mutex_);
    return error_;
  }

 private:
  std::mutex mutex_;
  rocksdb::Status error_;
};

uint64_t RocksIndexConfig::entryBudget() const {
  // Twice the write buffers in logs, one being written as a file, and what waits to be merged.
  const uint64_t taken = kFixedBytes + (4 + kMostUnmerged) * writeBufferBytes(shareBytes);
  return shareBytes > taken ? (shareBytes - taken) / 3 : 0;
}

uint64_t writeBufferBytes(uint64_t shareBytes) {
  return std::clamp<uint64_t>(shareBytes / 64, 64 << 10, 8 << 20);
}

Status statusOfRocks(const rocksdb::Status& status) {
  if (status.ok()) return Status();
  ErrorCode code = ErrorCode::kIoError;
  if (status.IsCorruption()) code = ErrorCode::kCorrupt;
  if (status.IsNoSpace()) code = ErrorCode::kOutOfSpace;
  return Status(code, "index: " + status.ToString());
}

RocksDatabase::RocksDatabase(RocksIndexConfig config)
    : config_(std::move(config)),
      env_(readTogetherEnv(config_.env != nullptr ? config_.env : rocksdb::Env::Default())),
      watch_(std::make_shared<ErrorWatch>()) {}

RocksDatabase::~RocksDatabase() = default;

rocksdb::Status RocksDatabase::openNow(bool readOnly) {
  rocksdb::Options options = optionsOf(config_, env_.get());
  options.listeners.push_back(watch_);
  const std::string name = config_.directory.string();
  rocksdb::DB* db = nullptr;
  rocksdb::Status status = readOnly ? rocksdb::DB::OpenForReadOnly(options, name, &db)
                                    : rocksdb::DB::Open(options, name, &db);
  if (status.ok()) db_.reset(db);
  return status;
}

Result<std::unique_ptr<RocksDatabase>> RocksDatabase::open(const RocksIndexConfig& config) {
  std::unique_ptr<RocksDatabase> database(new RocksDatabase(config));
  const rocksdb::Status status = database->openNow(config.readOnly);
  if (status.ok()) return database;
  // Whatever stands in the way, the segments have everything: let the caller rebuild.
  const Status failure = statusOfRocks(status);
  if (failure.code() == ErrorCode::kOutOfSpace) return failure;
  return Status(ErrorCode::kCorrupt, failure.message());
}

Status RocksDatabase::write(rocksdb::WriteBatch& batch) {
  SPOLIA_RETURN_IF_ERROR(writable());
  return use([&](rocksdb::DB& db) {
    const rocksdb::Status status = db.Write({}, &batch);
    if (!status.ok()) watch_->failed(status);
    return statusOfRocks(status);
  });
}

Status RocksDatabase::writable() {
  const rocksdb::Status error = watch_->error();
  if (error.ok() || reopened()) return Status();
  const ErrorCode code = error.IsNoSpace() ? ErrorCode::kOutOfSpace : ErrorCode::kUnavailable;
  return Status(code, "the store takes no writes: index: " + error.ToString());
}

// Whether a log as long as it gets can be written.
rocksdb::Status RocksDatabase::probe() const {
  const std::string name = config_.directory.string() + ".probe";
  std::unique_ptr<rocksdb::WritableFile> file;
  rocksdb::Status status = env_->NewWritableFile(name, &file, {});
  if (!status.ok()) return status;
  status = file->Append(std::string(writeBufferBytes(config_.shareBytes), '\0'));
  if (status.ok()) status = file->Sync();
  const rocksdb::Status closed = file->Close();
  const rocksdb::Status gone = env_->DeleteFile(name);
  return !status.ok() ? status : !closed.ok() ? closed : gone;
}

bool RocksDatabase::reopened() {
  std::lock_guard lock(mutex_);
  const auto now = std::chrono::steady_clock::now();
  if (config_.readOnly || now < nextTry_) return false;
  // Whoever reads now keeps it open: another time.
  const std::unique_lock gate(gate_, std::try_to_lock);
  if (!gate) return false;
  nextTry_ = now + kTryEvery;
  if (!probe().ok()) return false;
  db_.reset();
  // Cleared first: opening may fail in the background again.
  const rocksdb::Status before = watch_->error();
  watch_->clear();
  rocksdb::Status status = openNow(false);
  if (status.ok()) return true;
  watch_->failed(before);
  status = openNow(true);
  status.PermitUncheckedError();  // without a database use() says so
  return false;
}

}  // namespace spolia::store
