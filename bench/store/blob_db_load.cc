#include "bench/store/blob_db_load.h"

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include "bench/process_figures.h"

namespace spolia::bench {
namespace {

rocksdb::Options options() {
  rocksdb::Options o;
  o.create_if_missing = true;
  o.compression = rocksdb::kNoCompression;
  o.use_direct_reads = true;
  o.use_direct_io_for_flush_and_compaction = true;
  o.max_background_jobs = 1;
  o.enable_blob_files = true;
  o.min_blob_size = 4096;
  o.blob_file_size = 256 << 20;
  o.enable_blob_garbage_collection = true;
  o.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
  return o;
}

Status fromRocks(const rocksdb::Status& status) {
  return status.ok() ? Status() : Status(ErrorCode::kIoError, "BlobDB: " + status.ToString());
}

std::string nameOf(uint64_t number) {
  return std::string(asText(numberedKey(number).span()));
}

// Runs work(0) to work(count - 1) on `threads` threads; the first failure.
template <typename Work>
Status onThreads(uint64_t count, uint64_t threads, Work&& work) {
  std::atomic<uint64_t> next{0};
  std::mutex mutex;
  Status failure;
  const auto run = [&] {
    for (uint64_t i; (i = next.fetch_add(1)) < count;) {
      Status status = work(i);
      if (status.ok()) continue;
      const std::lock_guard lock(mutex);
      failure = std::move(status);
    }
  };
  std::vector<std::jthread> pool;
  for (uint64_t i = 0; i < threads; ++i) pool.emplace_back(run);
  pool.clear();
  return failure;
}

class RocksBlobDb final : public BlobDb {
 public:
  explicit RocksBlobDb(std::unique_ptr<rocksdb::DB> db) : db_(std::move(db)) {}

  Result<Load> putAll(const NumberedRecords& records, uint64_t first, uint64_t count,
                      uint64_t depth, uint64_t keepBytes) override {
    Load load;
    uint64_t oldest = records.firstWithin(keepBytes, first), kept = 0;
    for (uint64_t number = oldest; number < first; ++number) kept += records.bytesOf(number);
    for (const uint64_t end = first + count; first < end;) {
      std::vector<Put> puts;
      for (uint64_t bytes = 0; first < end && bytes < NumberedRecords::kPrepared; ++first) {
        Put put{first, records.payload(first), {}};
        bytes += put.payload.size();
        kept += put.payload.size();
        for (; kept > keepBytes; ++oldest) {
          kept -= records.bytesOf(oldest);
          put.gone.push_back(oldest);
        }
        puts.push_back(std::move(put));
      }
      const double begin = now(), cpu = cpuSeconds();
      SPOLIA_RETURN_IF_ERROR(
          onThreads(puts.size(), depth, [&](uint64_t i) { return write(puts[i]); }));
      load.seconds += now() - begin;
      load.cpuSeconds += cpuSeconds() - cpu;
      load.operations += puts.size();
      for (const Put& put : puts) load.bytes += put.payload.size();
    }
    load.bytesPerSecond = static_cast<double>(load.bytes) / load.seconds;
    return load;
  }

  Result<Load> getAll(const NumberedRecords& records, std::span<const uint64_t> numbers,
                      uint64_t depth) override {
    Load load;
    std::atomic<uint64_t> bytes{0};
    const double begin = now(), cpu = cpuSeconds();
    const auto get = [&](uint64_t i) {
      if (i + 1 == numbers.size()) {
        load.bytesPerSecond = static_cast<double>(bytes) / (now() - begin);
      }
      rocksdb::PinnableSlice value;
      const auto got = db_->Get({}, db_->DefaultColumnFamily(), nameOf(numbers[i]), &value);
      if (!got.ok()) return fromRocks(got);
      bytes += value.size();
      if (records.matches(numbers[i], asBytes({value.data(), value.size()}))) return Status();
      return Status(ErrorCode::kCorrupt, "another record than the one asked for");
    };
    SPOLIA_RETURN_IF_ERROR(onThreads(numbers.size(), depth, get));
    load.seconds = now() - begin;
    load.cpuSeconds = cpuSeconds() - cpu;
    load.operations = numbers.size();
    load.bytes = bytes;
    return load;
  }

 private:
  struct Put {
    uint64_t number;
    AlignedBuffer payload;
    std::vector<uint64_t> gone;  // deleted with it
  };

  Status write(const Put& put) {
    rocksdb::WriteBatch batch;
    const rocksdb::Slice value(reinterpret_cast<const char*>(put.payload.data()),
                               put.payload.size());
    SPOLIA_RETURN_IF_ERROR(fromRocks(batch.Put(nameOf(put.number), value)));
    for (const uint64_t number : put.gone) {
      SPOLIA_RETURN_IF_ERROR(fromRocks(batch.Delete(nameOf(number))));
    }
    rocksdb::WriteOptions durable;
    durable.sync = true;
    return fromRocks(db_->Write(durable, &batch));
  }

  std::unique_ptr<rocksdb::DB> db_;
};

}  // namespace

Result<std::unique_ptr<BlobDb>> openBlobDb(const std::string& directory) {
  rocksdb::DB* db = nullptr;
  SPOLIA_RETURN_IF_ERROR(fromRocks(rocksdb::DB::Open(options(), directory, &db)));
  return std::unique_ptr<BlobDb>(std::make_unique<RocksBlobDb>(std::unique_ptr<rocksdb::DB>(db)));
}

}  // namespace spolia::bench
