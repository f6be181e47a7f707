#include "server/store/index/rocks_index.h"

#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <thread>

#include "server/store/index/index_value.h"
#include "server/store/index/rocks_database.h"

namespace spolia::store {
namespace {

// Keys: 'e' + store key, 'm' + segment number.
constexpr char kEntryPrefix = 'e';
constexpr char kMarkPrefix = 'm';

// A lookup takes several microseconds of a core, a thread some tens to begin and end.
constexpr size_t kLeastKeysOfAThread = 128;
constexpr size_t kMostThreads = 4;

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

class RocksIndex final : public Index {
 public:
  RocksIndex(const RocksIndexConfig& config, std::unique_ptr<RocksDatabase> database)
      : directory_(config.directory),
        measureEvery_(writeBufferBytes(config.shareBytes) / 4),
        database_(std::move(database)) {}

  Result<std::optional<IndexEntry>> find(const StoreKey& key) override {
    return database_->use([&](rocksdb::DB& db) -> Result<std::optional<IndexEntry>> {
      rocksdb::PinnableSlice value;
      const rocksdb::Status status = db.Get({}, db.DefaultColumnFamily(), entryKey(key), &value);
      if (status.IsNotFound()) return std::optional<IndexEntry>();
      SPOLIA_RETURN_IF_ERROR(statusOfRocks(status));
      SPOLIA_ASSIGN_OR_RETURN(IndexEntry entry, parseEntry(key, bytesOf(value)));
      return std::optional<IndexEntry>(std::move(entry));
    });
  }

  Result<std::vector<std::optional<IndexEntry>>> findMany(std::span<const StoreKey> keys) override {
    using Entries = std::vector<std::optional<IndexEntry>>;
    return database_->use([&](rocksdb::DB& db) -> Result<Entries> {
      Entries out(keys.size());
      const size_t threads = std::clamp<size_t>(
          std::min<size_t>(keys.size() / kLeastKeysOfAThread, std::thread::hardware_concurrency()),
          1, kMostThreads);
      std::vector<Status> statuses(threads);
      {
        std::vector<std::jthread> others;
        const auto part = [&](size_t i) {
          const size_t begin = keys.size() * i / threads, end = keys.size() * (i + 1) / threads;
          statuses[i] = findPart(db, keys.subspan(begin, end - begin),
                                 std::span(out).subspan(begin, end - begin));
        };
        for (size_t i = 1; i < threads; ++i) others.emplace_back(part, i);
        part(0);
      }
      for (Status& status : statuses) SPOLIA_RETURN_IF_ERROR(std::move(status));
      return out;
    });
  }

  Status scan(const StoreKey& from, const std::function<bool(const IndexEntry&)>& visit) override {
    return database_->use([&](rocksdb::DB& db) {
      std::unique_ptr<rocksdb::Iterator> it(db.NewIterator({}));
      for (it->Seek(entryKey(from)); it->Valid(); it->Next()) {
        const rocksdb::Slice key = it->key();
        if (key.size() != 33 || key[0] != kEntryPrefix) break;
        StoreKey storeKey;
        std::memcpy(storeKey.bytes.data(), key.data() + 1, 32);
        SPOLIA_ASSIGN_OR_RETURN(const IndexEntry entry, parseEntry(storeKey, bytesOf(it->value())));
        if (!visit(entry)) break;
      }
      return statusOfRocks(it->status());
    });
  }

  Result<std::vector<SegmentMark>> marks() override {
    return database_->use([](rocksdb::DB& db) -> Result<std::vector<SegmentMark>> {
      std::vector<SegmentMark> out;
      std::unique_ptr<rocksdb::Iterator> it(db.NewIterator({}));
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
      SPOLIA_RETURN_IF_ERROR(statusOfRocks(it->status()));
      return out;
    });
  }

  Status apply(const IndexBatch& batch) override {
    rocksdb::WriteBatch write;
    for (const IndexEntry& entry : batch.puts) {
      const Bytes value = encodeEntry(entry);
      SPOLIA_RETURN_IF_ERROR(statusOfRocks(write.Put(entryKey(entry.meta.key), slice(value))));
    }
    for (const StoreKey& key : batch.removes) {
      SPOLIA_RETURN_IF_ERROR(statusOfRocks(write.Delete(entryKey(key))));
    }
    for (const SegmentMark& mark : batch.marks) {
      const Bytes value = encodeMark(mark);
      SPOLIA_RETURN_IF_ERROR(statusOfRocks(write.Put(markKey(mark.segment), slice(value))));
    }
    written_ += write.GetDataSize();
    return database_->write(write);
  }

  Status writable() override { return database_->writable(); }

  uint64_t diskBytes() override {
    std::lock_guard lock(mutex_);
    const uint64_t written = written_;
    if (measuredAt_ != 0 && written < measuredAt_ + measureEvery_) return measured_;
    measuredAt_ = written + 1;
    measured_ = 0;
    std::error_code error;
    for (const auto& file : std::filesystem::directory_iterator(directory_, error)) {
      // A file may go while it is looked at.
      const uintmax_t bytes = file.file_size(error);
      if (!error) measured_ += bytes;
    }
    return measured_;
  }

 private:
  static Status findPart(rocksdb::DB& db, std::span<const StoreKey> keys,
                         std::span<std::optional<IndexEntry>> out) {
    std::vector<std::string> names;
    names.reserve(keys.size());
    for (const StoreKey& key : keys) names.push_back(entryKey(key));
    const std::vector<rocksdb::Slice> slices(names.begin(), names.end());
    std::vector<rocksdb::PinnableSlice> values(keys.size());
    std::vector<rocksdb::Status> statuses(keys.size());
    db.MultiGet({}, db.DefaultColumnFamily(), keys.size(), slices.data(), values.data(),
                statuses.data());
    for (size_t i = 0; i < keys.size(); ++i) {
      if (statuses[i].IsNotFound()) continue;
      SPOLIA_RETURN_IF_ERROR(statusOfRocks(statuses[i]));
      SPOLIA_ASSIGN_OR_RETURN(out[i], parseEntry(keys[i], bytesOf(values[i])));
    }
    return Status();
  }

  const std::filesystem::path directory_;
  const uint64_t measureEvery_;  // bytes of batches
  const std::unique_ptr<RocksDatabase> database_;
  std::atomic<uint64_t> written_{0};
  std::mutex mutex_;  // guards what follows
  uint64_t measured_ = 0;
  uint64_t measuredAt_ = 0;
};

}  // namespace

Result<std::unique_ptr<Index>> openRocksIndex(const RocksIndexConfig& config) {
  SPOLIA_ASSIGN_OR_RETURN(std::unique_ptr<RocksDatabase> database, RocksDatabase::open(config));
  return std::unique_ptr<Index>(std::make_unique<RocksIndex>(config, std::move(database)));
}

}  // namespace spolia::store
