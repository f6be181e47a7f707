#include "server/store/store_check.h"

#include <fstream>
#include <sstream>
#include <unordered_map>
#include <vector>

#include "server/store/index/rocks_index.h"
#include "server/store/io/pread_ring.h"
#include "server/store/recovery.h"
#include "server/store/segment_dump.h"
#include "server/store/segments/last_words.h"
#include "server/store/store_files.h"

namespace spolia::store {
namespace {

constexpr uint32_t kQueueDepth = 8;

struct Place {
  SegmentId segment;
  uint64_t offset = 0;
  bool operator==(const Place&) const = default;
};

struct PlaceHash {
  size_t operator()(const Place& place) const {
    return std::hash<uint64_t>()(place.offset ^ uint64_t{place.segment.value} << 40);
  }
};

struct Found {
  StoreKey key;
  Generation generation;
  uint64_t sequence = 0;
  bool intact = false;
};

struct Latest {
  uint64_t sequence = 0;
  bool alive = false;
};

Result<DirectoryLock> lockStore(const std::filesystem::path& directory) {
  std::error_code error;
  if (!std::filesystem::exists(directory / "segments", error)) {
    return Status(ErrorCode::kNotFound, directory.string() + " has no store");
  }
  SPOLIA_RETURN_IF_ERROR(checkStoreFormat(directory));
  return DirectoryLock::acquire(directory);
}

class Check {
 public:
  Check(const std::filesystem::path& directory,
        const std::function<void(const std::string&)>& problem)
      : directory_(directory), tell_(problem) {}

  Result<CheckReport> run() {
    RocksIndexConfig config{directory_ / "index"};
    config.readOnly = true;
    SPOLIA_ASSIGN_OR_RETURN(const std::unique_ptr<Index> index, openRocksIndex(config));
    std::error_code error;
    for (const auto& file : std::filesystem::directory_iterator(directory_ / "segments", error)) {
      SPOLIA_RETURN_IF_ERROR(readSegment(file.path()));
    }
    if (error) return Status(ErrorCode::kIoError, directory_.string() + ": " + error.message());
    SPOLIA_RETURN_IF_ERROR(index->scan(StoreKey{}, [this](const IndexEntry& entry) {
      compare(entry);
      return true;
    }));
    for (const auto& [key, latest] : latest_) report_.unnamed += latest.alive ? 1 : 0;
    return report_;
  }

 private:
  void problem(const std::string& what) {
    ++report_.problems;
    tell_(what);
  }

  Status readSegment(const std::filesystem::path& file) {
    const std::string name = file.filename().string();
    if (wordsFileNumber(name)) return readWords(file);
    if (file.extension() != ".seg") {
      if (file.extension() != ".tmp") problem(name + ": not a segment");
      return Status();
    }
    SPOLIA_ASSIGN_OR_RETURN(const SegmentDump dump, dumpSegment(file));
    ++report_.segments;
    report_.bytesRead += dump.bytes;
    // Behind the last record a crash may have left anything.
    for (const SegmentProblem& found : dump.problems) {
      if (found.offset < dump.end) {
        problem(name + " at " + std::to_string(found.offset) + ": " + found.what);
      }
    }
    if (!dump.header) return Status();
    if (segmentFileName(dump.header->id) != name) {
      problem(name + ": is segment " + std::to_string(dump.header->id.value) + " by another name");
      return Status();
    }
    for (const DumpedRecord& record : dump.records) note(*dump.header, record);
    return Status();
  }

  Status readWords(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    std::ostringstream bytes;
    bytes << in.rdbuf();
    if (!in) return Status(ErrorCode::kIoError, file.string() + ": cannot be read");
    const Result<std::vector<LastWord>> words = parseLastWords(asBytes(bytes.str()));
    if (!words.ok()) {
      problem(file.filename().string() + ": " + words.status().message());
      return Status();
    }
    for (const LastWord& word : *words) {
      Latest& latest = latest_[word.key];
      if (word.sequence >= latest.sequence) latest = {word.sequence, false};
    }
    return Status();
  }

  void note(const SegmentHeader& segment, const DumpedRecord& record) {
    const RecordHeader& header = record.header;
    const bool intact = record.damagedBlocks.empty();
    Latest& latest = latest_[header.meta.key];
    if (header.stamp.sequence > latest.sequence) {
      latest = {header.stamp.sequence, intact && !header.tombstone};
    }
    if (header.tombstone) return;
    records_[{segment.id, header.stamp.offset}] = {header.meta.key, segment.generation,
                                                   header.stamp.sequence, intact};
  }

  void compare(const IndexEntry& entry) {
    ++report_.entries;
    latest_.erase(entry.meta.key);
    const RecordAddress& address = entry.address;
    const std::string where =
        segmentFileName(address.segment) + " at " + std::to_string(address.offset);
    const auto it = records_.find({address.segment, address.offset});
    const bool there = it != records_.end() && it->second.key == entry.meta.key &&
                       it->second.generation == address.generation &&
                       it->second.sequence == entry.sequence;
    if (!there) return problem("entry " + entry.meta.key.hex() + ": no record in " + where);
    if (!it->second.intact) {
      return problem("entry " + entry.meta.key.hex() + ": damaged record in " + where);
    }
    ++report_.intact;
    report_.liveBytes += address.length;
  }

  const std::filesystem::path directory_;
  const std::function<void(const std::string&)>& tell_;
  CheckReport report_;
  std::unordered_map<Place, Found, PlaceHash> records_;
  std::unordered_map<StoreKey, Latest, DigestHash> latest_;
};

}  // namespace

Result<CheckReport> checkStore(const std::filesystem::path& directory,
                               const std::function<void(const std::string&)>& problem) {
  SPOLIA_ASSIGN_OR_RETURN(const DirectoryLock lock, lockStore(directory));
  return Check(directory, problem).run();
}

Result<RebuildReport> rebuildIndex(const std::filesystem::path& directory) {
  SPOLIA_ASSIGN_OR_RETURN(const DirectoryLock lock, lockStore(directory));
  SPOLIA_ASSIGN_OR_RETURN(const std::unique_ptr<Ring> ring,
                          makePreadRing(directory / "segments", kQueueDepth));
  SPOLIA_ASSIGN_OR_RETURN(const Recovered recovered, rebuild(*ring, {directory / "index"}));
  RebuildReport report;
  report.segments = recovered.table.all().size();
  SPOLIA_RETURN_IF_ERROR(recovered.index->scan(StoreKey{}, [&](const IndexEntry&) {
    ++report.entries;
    return true;
  }));
  return report;
}

}  // namespace spolia::store
