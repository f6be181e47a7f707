#include "server/store/recovery.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <set>

namespace spolia::store {
namespace {

constexpr size_t kBatch = 1024;

SegmentMark markOf(const Segment& segment) {
  return {segment.id,         segment.generation,    segment.end,
          segment.tombstones, segment.firstSequence, segment.lastSequence};
}

}  // namespace

std::string segmentFileName(SegmentId id) {
  char name[32];
  std::snprintf(name, sizeof name, "%06u.seg", id.value);
  return name;
}

std::optional<SegmentId> segmentIdOf(const std::string& name) {
  SegmentId id;
  const size_t dot = name.find('.');
  if (dot == std::string::npos || name.substr(dot) != ".seg") return std::nullopt;
  const auto [end, error] = std::from_chars(name.data(), name.data() + dot, id.value);
  if (error != std::errc() || end != name.data() + dot || segmentFileName(id) != name) {
    return std::nullopt;
  }
  return id;
}

Result<SegmentTable> Recovery::run(Ring& ring, Index& index) {
  Recovery recovery(ring, index);
  SPOLIA_RETURN_IF_ERROR(recovery.openSegments());
  SPOLIA_RETURN_IF_ERROR(recovery.replay());
  return recovery.finish();
}

Status Recovery::openSegment(SegmentId id, const std::string& name) {
  Segment segment;
  segment.id = id;
  SPOLIA_ASSIGN_OR_RETURN(segment.file, ring_.open(name));
  SPOLIA_ASSIGN_OR_RETURN(segment.size, ring_.size(segment.file));
  if (segment.size < kDiskBlock) {
    segment.bad = true;
    table_.add(segment);
    return Status();
  }
  AlignedBuffer block(kDiskBlock);
  Status read = ring_.readNow(segment.file, 0, block.span());
  if (!read.ok()) read = ring_.readNow(segment.file, 0, block.span());
  const Result<SegmentHeader> header =
      read.ok() ? parseSegmentHeader(block.span()) : Result<SegmentHeader>(read);
  if (!header.ok() && header.status().code() == ErrorCode::kUnsupported) {
    return header.status().withContext(name);
  }
  // A damaged header leaves generation 0; the index's mark may still know the right one. Without a
  // mark nothing in the file can be told from leftovers, and it is free. Not so when the disk would
  // not say what stands there.
  if (!read.ok()) segment.bad = segment.doubtful = true;
  if (header.ok()) segment.generation = header->generation;
  if (!header.ok()) spdlog::warn("{}: {}", name, header.status().message());
  if (header.ok() && header->id != id) {
    spdlog::warn("{}: is segment {} by another name; left as it is", name, header->id.value);
    segment.bad = true;
    segment.size = 0;
  }
  table_.add(segment);
  return Status();
}

// What they are about may come back while the disk does not read them, but not for good: nothing is
// cleaned, and the next opening reads them again.
Status Recovery::readWords(const std::string& name) {
  const Status status = table_.words().load(ring_, name);
  if (status.ok()) return status;
  if (status.code() == ErrorCode::kUnsupported) return status.withContext(name);
  spdlog::warn("{}: {}", name, status.message());
  if (status.code() != ErrorCode::kCorrupt) table_.setUnseen();
  return Status();
}

Status Recovery::openSegments() {
  SPOLIA_ASSIGN_OR_RETURN(const std::vector<std::string> names, ring_.list());
  for (const std::string& name : names) {
    if (const auto id = segmentIdOf(name)) SPOLIA_RETURN_IF_ERROR(openSegment(*id, name));
    if (wordsFileNumber(name)) SPOLIA_RETURN_IF_ERROR(readWords(name));
  }
  auto& all = table_.all();
  std::sort(all.begin(), all.end(), [](const Segment& a, const Segment& b) { return a.id < b.id; });
  return Status();
}

// A damaged record is still the latest word on its key: what it replaced stays replaced.
void Recovery::note(const ScannedRecord& record) {
  const RecordHeader& header = record.header;
  Latest& latest = latest_[header.meta.key];
  if (header.stamp.sequence <= latest.sequence) return;
  latest = {header.stamp.sequence, header.tombstone || !record.intact,
            IndexEntry{header.meta, record.address, header.stamp.sequence}, false};
}

void Recovery::replaySegment(Segment& segment, ScanMode mode) {
  const bool doubtful = segment.doubtful;
  scanSegment(ring_, segment, mode, [this](const ScannedRecord& record) { note(record); });
  if (segment.doubtful && !doubtful) {
    spdlog::warn("{}: records are damaged or cannot be read; the rest is kept",
                 segmentFileName(segment.id));
  }
}

Status Recovery::replay() {
  SPOLIA_ASSIGN_OR_RETURN(const std::vector<SegmentMark> marks, index_.marks());
  std::set<SegmentId> marked;
  for (const SegmentMark& mark : marks) {
    Segment* segment = table_.find(mark.segment);
    if (segment == nullptr || mark.offset > segment->size) continue;
    if (segment->generation.value == 0) segment->generation = mark.generation;
    if (segment->generation != mark.generation) continue;
    marked.insert(segment->id);
    segment->end = mark.offset;
    segment->tombstones = mark.tombstones;
    segment->firstSequence = mark.firstSequence;
    segment->lastSequence = mark.lastSequence;
    if (mark.lastSequence == 0) continue;
    segment->markedTo = mark.offset;
    segment->markedSequence = mark.lastSequence;
  }
  for (const auto& [key, sequence] : table_.words().all())
    latest_[key] = {sequence, true, {}, true};
  const std::vector<Segment> before = table_.all();
  for (Segment& segment : table_.all()) {
    if (segment.bad || segment.generation.value == 0) continue;
    replaySegment(segment, marked.contains(segment.id) ? ScanMode::kTail : ScanMode::kRebuild);
  }
  syncFound(before);
  rescanLastWords(before);
  return Status();
}

// A process that was killed may have left records that were written and never synced. From now on
// they can be read and count as present, so they have to outlive a power loss too. Where the sync
// fails the segment is never written again; what reads back from it is kept, since most of it was
// acknowledged.
void Recovery::syncFound(const std::vector<Segment>& before) {
  for (size_t i = 0; i < before.size(); ++i) {
    Segment& segment = table_.all()[i];
    if (segment.end == before[i].end) continue;
    if (!ring_.syncNow(segment.file).ok()) segment.bad = true;
  }
}

// A record whose write was reported as failed may be on the disk all the same. When its key was
// removed afterwards and the index has seen the tombstone, or when a newer record of it was
// evicted, only that tombstone or record still tells that it is dead: such records are older than
// something the index has.
void Recovery::rescanLastWords(const std::vector<Segment>& before) {
  uint64_t horizon = 0;
  for (const Segment& segment : before) horizon = std::max(horizon, segment.lastSequence);
  const bool needed = std::any_of(latest_.begin(), latest_.end(), [&](const auto& item) {
    return !item.second.tombstone && item.second.sequence < horizon;
  });
  if (!needed) return;
  bool unread = false;
  for (Segment segment : before) {
    unread = unread || segment.doubtful;
    if (segment.bad || segment.tombstones == 0) continue;
    const uint64_t seen = segment.end;
    segment.end = kDiskBlock;
    segment.lastSequence = 0;
    scanSegment(ring_, segment, ScanMode::kRebuild, [&](const ScannedRecord& record) {
      if (record.header.tombstone) return note(record);
      const auto found = latest_.find(record.header.meta.key);
      if (found == latest_.end() || record.address.offset >= seen) return;
      Latest& latest = found->second;
      if (record.header.stamp.sequence <= latest.sequence) return;
      latest.sequence = record.header.stamp.sequence;
      latest.tombstone = true;
      latest.word = false;  // the index may name this very record
    });
    unread = unread || segment.bad;
  }
  if (unread) passOver(horizon);
}

// What was found and may be dead is left where it is, and looked for again by the next opening.
void Recovery::passOver(uint64_t horizon) {
  std::erase_if(latest_, [&](const auto& item) {
    const Latest& latest = item.second;
    if (latest.tombstone || latest.sequence >= horizon) return false;
    Segment& segment = *table_.find(latest.entry.address);
    segment.bad = segment.doubtful = true;
    return true;
  });
}

Status Recovery::applyReplayed() {
  IndexBatch batch;
  for (auto& [key, latest] : latest_) {
    SPOLIA_ASSIGN_OR_RETURN(const std::optional<IndexEntry> known, index_.find(key));
    const uint64_t told = latest.sequence + (latest.word ? 1 : 0);
    if (known && known->sequence >= told) continue;
    if (latest.tombstone) {
      batch.removes.push_back(key);
    } else {
      batch.puts.push_back(std::move(latest.entry));
    }
    if (batch.puts.size() + batch.removes.size() >= kBatch) {
      SPOLIA_RETURN_IF_ERROR(index_.apply(batch));
      batch = {};
    }
  }
  // The marks go last: until then a crash replays everything once more.
  for (const Segment& segment : table_.all()) {
    if (!segment.bad && segment.generation.value != 0) batch.marks.push_back(markOf(segment));
  }
  latest_.clear();
  return batch.empty() ? Status() : index_.apply(batch);
}

Status Recovery::dropOrphans() {
  IndexBatch batch;
  SPOLIA_RETURN_IF_ERROR(index_.scan(StoreKey{}, [&](const IndexEntry& entry) {
    Segment* segment = table_.find(entry.address);
    if (segment == nullptr || entry.address.offset + entry.address.length > segment->size) {
      batch.removes.push_back(entry.meta.key);
    } else {
      table_.live(entry.address);
    }
    return true;
  }));
  return batch.empty() ? Status() : index_.apply(batch);
}

// A torn header may stand where writing goes on. The next record's write, torn as well, could make
// it whole again: then what was absent at this opening would be there at the next.
void Recovery::clearEnd(Segment& segment) {
  AlignedBuffer block(kDiskBlock);
  Status status = ring_.readNow(segment.file, segment.end, block.span());
  if (status.ok() && recordHeaderLength(block.span())) {
    const AlignedBuffer zeros = AlignedBuffer::zeroed(kDiskBlock);
    status = ring_.writeNow(segment.file, segment.end, zeros.span());
    if (status.ok()) status = ring_.syncNow(segment.file);
  }
  if (!status.ok()) segment.bad = true;
}

// Writing goes on where it ended last, or in a free segment. In an older one only for want of both:
// the segments have no order any more then, and what is dead in one cannot be dropped without
// telling again that it is.
void Recovery::chooseActive() {
  Segment* latest = nullptr;
  Segment* withRoom = nullptr;
  const auto later = [](const Segment& a, const Segment* b) {
    return b == nullptr || a.lastSequence > b->lastSequence;
  };
  for (Segment& segment : table_.all()) {
    if (segment.generation.value == 0) continue;
    if (later(segment, latest)) latest = &segment;
    if (segment.room() >= kDiskBlock && later(segment, withRoom)) withRoom = &segment;
  }
  if (latest != withRoom && table_.reusableCount() > 0) return;
  latest = withRoom;
  if (latest == nullptr) return;
  clearEnd(*latest);
  if (!latest->bad) table_.setActive(OpenFor::kPuts, latest->id);
}

Result<SegmentTable> Recovery::finish() {
  SPOLIA_RETURN_IF_ERROR(applyReplayed());
  for (Segment& segment : table_.all()) {
    if (segment.bad) continue;
    segment.markedTo = segment.end;
    segment.markedSequence = 0;
  }
  SPOLIA_RETURN_IF_ERROR(dropOrphans());
  chooseActive();
  return std::move(table_);
}

namespace {

Result<Recovered> recover(Ring& ring, const RocksIndexConfig& config) {
  SPOLIA_ASSIGN_OR_RETURN(std::unique_ptr<Index> index, openRocksIndex(config));
  SPOLIA_ASSIGN_OR_RETURN(SegmentTable table, Recovery::run(ring, *index));
  return Recovered{std::move(index), std::move(table)};
}

}  // namespace

Result<Recovered> rebuild(Ring& ring, const RocksIndexConfig& config) {
  std::error_code error;
  std::filesystem::remove_all(config.directory, error);
  if (error) {
    return Status(ErrorCode::kIoError, config.directory.string() + ": " + error.message());
  }
  return recover(ring, config);
}

Result<Recovered> recoverOrRebuild(Ring& ring, const RocksIndexConfig& config) {
  Result<Recovered> recovered = recover(ring, config);
  if (recovered.ok() || recovered.status().code() != ErrorCode::kCorrupt) return recovered;
  spdlog::warn("{}; rebuilding the index from the segments", recovered.status().message());
  return rebuild(ring, config);
}

}  // namespace spolia::store
