// How a StoreEngine comes by room: what is evicted, and how segments are emptied.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "server/store/recovery.h"
#include "server/store/store_engine.h"

namespace spolia::store {
namespace {

// How often a policy is asked for another victim when the one it names is being written to.
constexpr int kVictimsAsked = 64;
constexpr int kMoveReads = 3;

}  // namespace

// In the order of writing, which is as good a guess at the order of use as a restart leaves.
void StoreEngine::loadResidents() {
  struct Found {
    uint64_t sequence;
    uint64_t bytes;
    EntryMeta meta;
  };
  std::vector<Found> found;
  const Status scanned = index_.scan(StoreKey{}, [&](const IndexEntry& entry) {
    found.push_back({entry.sequence, entry.address.length, entry.meta});
    return true;
  });
  if (!scanned.ok()) spdlog::error("reading the index: {}", scanned.message());
  figures_.entries = found.size();
  std::ranges::sort(found, {}, &Found::sequence);
  for (const Found& entry : found) {
    Changes changes;
    while (residents_.over(entry.bytes) && evictOne(changes)) {
    }
    if (const Status evicted = applyEvictions(std::move(changes)); !evicted.ok()) {
      spdlog::error("evicting: {}", evicted.message());
    }
    residents_.add(entry.meta, entry.bytes, nowMs());
  }
}

Status StoreEngine::refuseIfTooMuch(const StoreOp& op) const {
  const uint64_t bytes = AppendLog::recordBytes(op.put.meta, op.put.payload.size());
  if (residents_.couldFit(pendingPuts_ + bytes)) return Status();
  return Status(ErrorCode::kOutOfSpace,
                "the store may hold " + std::to_string(residents_.budget()) + " bytes, of which " +
                    std::to_string(residents_.liveBytes()) + " are taken" +
                    (config_.makePolicy ? " by what may not be evicted" : ""));
}

std::optional<IndexEntry> StoreEngine::entryOf(Residents::Prefix prefix) {
  std::optional<IndexEntry> out;
  const Status scanned = index_.scan(Residents::firstKeyOf(prefix), [&](const IndexEntry& entry) {
    if (Residents::prefixOf(entry.meta.key) == prefix) out = entry;
    return false;
  });
  return scanned.ok() ? out : std::nullopt;
}

// False when nothing can go.
bool StoreEngine::evictOne(Changes& changes) {
  for (int asked = 0; asked < kVictimsAsked; ++asked) {
    const std::optional<Residents::Prefix> victim = residents_.victim(nowMs());
    if (!victim) return false;
    const std::optional<IndexEntry> entry = entryOf(*victim);
    if (!entry) {
      residents_.remove(Residents::firstKeyOf(*victim), 0, Departure::kRemoved);
    } else if (mutations_.contains(entry->meta.key)) {
      residents_.postpone(*victim, nowMs());
    } else {
      giveUp(*entry, changes);
      return true;
    }
  }
  return false;
}

// No tombstone is written: a rebuild of the index may bring the entry back. Its record now stands
// for one, lest an older record of its key come back after the segment was written again.
void StoreEngine::giveUp(const IndexEntry& entry, Changes& changes) {
  residents_.remove(entry.meta.key, entry.address.length, Departure::kEvicted);
  changes.batch.removes.push_back(entry.meta.key);
  changes.evicted.push_back(entry);
  Segment* segment = table_.find(entry.address);
  if (segment == nullptr) return;
  ++segment->tombstones;
  auto& marks = changes.batch.marks;
  const auto mark = std::ranges::find(marks, segment->id, &SegmentMark::segment);
  if (mark != marks.end()) {
    mark->tombstones = segment->tombstones;
  } else {
    marks.push_back({segment->id, segment->generation, segment->markedTo, segment->tombstones,
                     segment->firstSequence, segment->lastSequence});
  }
}

Status StoreEngine::applyEvictions(Changes changes) {
  if (changes.batch.empty()) return Status();
  SPOLIA_RETURN_IF_ERROR(index_.apply(changes.batch));
  applied(changes, {});
  return Status();
}

// At least so many live bytes less. False when there is nothing more to give up.
bool StoreEngine::evictSome(uint64_t bytes) {
  const uint64_t before = residents_.liveBytes();
  Changes changes;
  while (residents_.liveBytes() + bytes > before && evictOne(changes)) {
  }
  const bool any = !changes.evicted.empty();
  return applyEvictions(std::move(changes)).ok() && any;
}

// Lets go on what waits for room, as far as there is some, and makes more.
void StoreEngine::relieve() {
  while (!stalled_.empty() && !cleaner_.busy()) {
    Status status = log_.append(stalled_.front());
    if (status.ok()) {
      stalled_.pop_front();
      cleanedInVain_ = 0;
      continue;
    }
    if (status.code() == ErrorCode::kOutOfSpace && makeRoom()) return;
    const AppendRequest request = std::move(stalled_.front());
    stalled_.pop_front();
    if (request.roomFor == RoomFor::kPut)
      pendingPuts_ -= AppendLog::recordBytes(request.meta, request.payload.size());
    const StoreKey key = appends_.extract(request.cookie).mapped();
    StoreCompletion completion;
    completion.cookie = mutations_.at(key).front().cookie;
    completion.status = std::move(status);
    finishMutation(key, std::move(completion));
  }
}

// True when room is on its way: relieve() is called again then. What recovery could not see may be
// newer than what the index names: written again, an old record would hide it for good.
bool StoreEngine::makeRoom() {
  if (table_.doubtful()) return false;
  if (log_.pending() > 0 || table_.waitsForReaders()) return true;
  const bool evicted = cleanedInVain_ > 0 && evictSome(config_.log.segmentBytes / 4);
  if (!evicted && cleanedInVain_ > table_.all().size()) return false;
  Segment* segment = table_.nextToClean();
  if (segment == nullptr) {
    if (!log_.rollForMoves().ok()) return false;
    segment = table_.nextToClean();
  }
  if (segment == nullptr) return false;
  ++cleanedInVain_;
  startCleaning(*segment);
  return true;
}

void StoreEngine::startCleaning(Segment& segment) {
  log_.keepForMoves(segment.liveBytes);
  cleaner_.start(segment);
}

// One segment is emptied for each that is begun, once they run short, so that puts need not wait.
void StoreEngine::cleanAhead() {
  if (cleaner_.busy() || log_.rolls() == cleanedForRolls_) return;
  cleanedForRolls_ = log_.rolls();
  const bool ahead = !table_.doubtful() && log_.freeSegments() < 2;
  Segment* segment = ahead ? table_.nextToClean() : nullptr;
  const bool worthIt = segment != nullptr && segment->liveBytes <= segment->size / 10 * 9;
  if (worthIt) startCleaning(*segment);
}

void StoreEngine::leave(const RecordHeader& header, const RecordAddress& address, Done done) {
  const StoreKey key = header.meta.key;
  const Result<std::optional<IndexEntry>> known = index_.find(key);
  if (!known.ok()) return done(known.status());
  if (!*known || (*known)->address != address) return carry(key, address, done);
  const auto left = [this, key, address, done](Status status) {
    if (status.code() == ErrorCode::kOutOfSpace) status = evictUnmoved(key, address, status);
    status.ok() ? carry(key, address, done) : done(status);
  };
  expired((*known)->meta) ? left(evict(**known)) : move(**known, 1, left);
}

// A record that nothing newer follows, and that is dead, is the last word on its key: the word is
// written again unless nothing is older.
void StoreEngine::carry(const StoreKey& key, const RecordAddress& address, const Done& done) {
  const Result<std::optional<IndexEntry>> known = index_.find(key);
  if (!known.ok()) return done(known.status());
  if (*known || table_.oldest(*table_.find(address.segment))) return done(Status());
  StoreOp op;
  op.kind = StoreOp::Kind::kCarry;
  op.key = key;
  op.done = done;
  mutate(std::move(op));
}

Status StoreEngine::evict(const IndexEntry& entry) {
  Changes changes;
  giveUp(entry, changes);
  return applyEvictions(std::move(changes));
}

// Where there is no room for what a segment holds, the segment is worth more than that.
Status StoreEngine::evictUnmoved(const StoreKey& key, const RecordAddress& address, Status noRoom) {
  SPOLIA_ASSIGN_OR_RETURN(const std::optional<IndexEntry> entry, index_.find(key));
  if (!entry || entry->address != address) return Status();
  return residents_.mayGo(key) ? evict(*entry) : noRoom;
}

void StoreEngine::move(const IndexEntry& entry, int attempt, Done done) {
  reader_.read(entry, 0, UINT64_MAX, [this, entry, attempt, done](ReadResult result) {
    figures_.bytesRead += result.bytesRead;
    // The mistake may be the reading's, and what is not moved now is lost.
    const bool again = result.status.code() == ErrorCode::kCorrupt && attempt < kMoveReads;
    if (again) return move(entry, attempt + 1, done);
    StoreOp op;
    op.kind = StoreOp::Kind::kMove;
    op.key = entry.meta.key;
    op.done = done;
    op.sequence = entry.sequence;
    if (result.status.code() == ErrorCode::kCorrupt) {
      // Not moved: it is gone for good, and the segment is clean without it.
      StoreCompletion answer;
      return quarantine(op, entry.sequence, std::move(answer));
    }
    if (!result.status.ok()) return done(result.status);
    op.put.meta = entry.meta;
    op.put.payload = std::move(result.data);
    mutate(std::move(op));
  });
}

void StoreEngine::cleaned(SegmentId id, Status outcome) {
  log_.keepForMoves(0);
  if (outcome.ok()) {
    ++figures_.cleanedSegments;
  } else {
    spdlog::warn("{} cannot be emptied: {}", segmentFileName(id), outcome.message());
    // A segment that cannot be read is left alone, so that the next one gets its turn.
    if (outcome.code() != ErrorCode::kOutOfSpace) table_.find(id)->bad = true;
  }
  relieve();
}

}  // namespace spolia::store
