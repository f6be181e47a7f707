// How a StoreEngine empties segments: which, what becomes of what is in them, and what is kept
// beside them of what they said.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "server/store/recovery.h"
#include "server/store/store_engine.h"

namespace spolia::store {
namespace {

constexpr int kMoveReads = 3;
constexpr uint64_t kMostWords = 1 << 20;  // 40 MiB
// Of those, words that spare cleaning the segments in the order in which they were begun; in memory
// they take some 64 bytes each.
constexpr size_t kMostCarried = 1 << 17;
// With fewer, one more that is open and half full costs more room than it spares writing.
constexpr uint32_t kSegmentsForTwo = 12;

}  // namespace

// What is moved has shown that it lives long. Not what leaves words behind: with two segments open
// at a time there is none to which nothing else is older, and words would be kept for all of it.
OpenFor StoreEngine::segmentForMoves(const EntryMeta& meta) const {
  const bool apart = config_.log.maxSegments >= kSegmentsForTwo && !saysMore(meta, false);
  return apart ? OpenFor::kMoves : OpenFor::kPuts;
}

void StoreEngine::chooseCleaning() {
  if (!config_.valuesAlike || config_.log.maxSegments < kSegmentsForTwo) return;
  table_.cleanCheapest(std::min(kMostCarried, mostWords() / 2));
}

void StoreEngine::startCleaning(Segment& segment) {
  keepForCleaning(segment);
  carried_.clear();
  cleaner_.start(segment);
}

// One segment is emptied for each that is begun, once they run short, so that puts need not wait.
void StoreEngine::cleanAhead() {
  if (cleaner_.busy() || log_.rolls() == cleanedForRolls_) return;
  cleanedForRolls_ = log_.rolls();
  const bool ahead = !table_.doubtful() && log_.freeSegments() < 2 && index_.writable().ok();
  Segment* segment = ahead ? table_.nextToClean(log_.roomForMoves()) : nullptr;
  const bool worthIt = segment != nullptr && segment->liveBytes <= segment->size / 10 * 9;
  worthIt ? startCleaning(*segment) : keepForNext();
}

// What the segment to be emptied next needs stays free of everything but moves, before its turn
// too: were it taken, no segment could ever be emptied again. Where there is less than that,
// tombstones may have it, since they are what makes a segment need less.
void StoreEngine::keepForNext() {
  const uint64_t room = log_.roomForMoves();
  const Segment* next = table_.doubtful() ? nullptr : table_.nextToClean(room);
  const uint64_t needed = next != nullptr ? next->liveBytes : 0;
  log_.keepForMoves(needed, needed <= room ? needed : 0);
}

// When the cap was lowered since the segments were made. One that is free stays: without it no
// other can be emptied.
void StoreEngine::dropSurplus() {
  const size_t most = config_.log.maxSegments;
  while (table_.all().size() > most) {
    Segment* segment = table_.reusableCount() > 1 ? table_.reusable() : nullptr;
    if (segment == nullptr) return;
    if (const Status removed = driver_.ring().remove(segment->file); !removed.ok()) {
      spdlog::warn("{} is over the cap and cannot be removed: {}", segmentFileName(segment->id),
                   removed.message());
      segment->bad = true;
    } else {
      table_.erase(segment->id);
      shrunkInVain_ = 0;
    }
  }
}

void StoreEngine::shrink() {
  if (table_.all().size() <= config_.log.maxSegments || cleaner_.busy()) return;
  dropSurplus();
  const bool cleans = table_.all().size() > config_.log.maxSegments && !table_.doubtful() &&
                      !table_.waitsForReaders() && index_.writable().ok();
  const bool inVain = cleans && shrunkInVain_ > table_.all().size();
  if (inVain && !evictSome(config_.log.segmentBytes / 4)) return;
  Segment* segment = cleans ? table_.nextToClean(log_.roomForMoves()) : nullptr;
  if (segment == nullptr) return;
  ++shrunkInVain_;
  startCleaning(*segment);
}

void StoreEngine::leave(const RecordHeader& header, const RecordAddress& address, Done done) {
  const StoreKey key = header.meta.key;
  const Result<std::optional<IndexEntry>> known = index_.find(key);
  if (!known.ok()) return done(known.status());
  if (!*known || (*known)->address != address) return done(carry(header, address));
  const auto left = [this, header, address, done](Status status) {
    if (status.code() == ErrorCode::kOutOfSpace) {
      status = evictUnmoved(header.meta.key, address, status);
    }
    done(status.ok() ? carry(header, address) : status);
  };
  const bool over = expired((*known)->meta);
  // Where others would go with it, more is lost than the move costs.
  const bool next = !over && !mutations_.contains(key) && !leased(key) &&
                    !residents_.worthMoving(key, nowMs()) &&
                    config_.companions((*known)->meta).empty();
  over   ? left(evict(**known, Departure::kRemoved))
  : next ? left(evict(**known))
         : move(**known, 1, left);
}

// A record that nothing newer follows, and that is dead, is the last word on its key: the word is
// kept unless nothing is older, or what is older may come back.
Status StoreEngine::carry(const RecordHeader& header, const RecordAddress& address) {
  if (!saysMore(header.meta, header.tombstone)) return Status();
  SPOLIA_ASSIGN_OR_RETURN(const std::optional<IndexEntry> known, index_.find(header.meta.key));
  if (known || table_.oldest(*table_.find(address.segment))) return Status();
  uint64_t& sequence = carried_[header.meta.key];
  sequence = std::max(sequence, header.stamp.sequence);
  return Status();
}

// Where there is no room for what a segment holds, the segment is worth more than that.
Status StoreEngine::evictUnmoved(const StoreKey& key, const RecordAddress& address, Status noRoom) {
  SPOLIA_ASSIGN_OR_RETURN(const std::optional<IndexEntry> entry, index_.find(key));
  if (!entry || entry->address != address) return Status();
  return residents_.mayGo(key) && !leased(key) ? evict(*entry) : noRoom;
}

// A segment that cannot be read is left alone, so that the next one gets its turn.
void StoreEngine::unreadable(SegmentId id) {
  table_.find(id)->bad = true;
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
    if (!result.status.ok()) {
      unreadable(entry.address.segment);
      return done(result.status);
    }
    op.put.meta = entry.meta;
    op.put.payload = std::move(result.data);
    mutate(std::move(op));
  });
}

void StoreEngine::cleaned(SegmentId id, Status outcome) {
  keepForNext();
  if (outcome.ok()) ++figures_.cleanedSegments;
  // Told once, not for every put that wants room.
  std::string complaint =
      outcome.ok() ? "" : segmentFileName(id) + " cannot be emptied: " + outcome.message();
  if (!outcome.ok() && complaint != complaint_) spdlog::warn("{}", complaint);
  complaint_ = std::move(complaint);
  relieve();
  if (outcome.ok()) shrink();
}

// No more than the segments could hold records, so that they stay about a hundredth of the cap.
size_t StoreEngine::mostWords() const {
  const uint64_t records = config_.log.maxSegments * config_.log.segmentBytes / kDiskBlock;
  return std::min(kMostWords, records);
}

Status StoreEngine::writeWords(const std::vector<LastWord>& more) {
  return table_.words().write(driver_.ring(), more, table_.oldestSequence(), mostWords());
}

// The words of all these in one file, so that many removals cost one step. One that fails is in
// doubt like a tombstone whose write failed.
void StoreEngine::keepWords(std::vector<AppendRequest> tombstones, const Status& noRoom) {
  std::vector<LastWord> words;
  std::vector<Appended> told;
  for (AppendRequest& request : tombstones) {
    words.push_back({request.meta.key, log_.takeSequence()});
    told.push_back({request.cookie, noRoom, true, request.roomFor, 0,
                    IndexEntry{std::move(request.meta), {}, words.back().sequence}});
  }
  if (writeWords(words).ok()) {
    for (Appended& one : told) one.status = Status();
  }
  commit(std::move(told), {});
}

void StoreEngine::keepWordsOfStalled(const Status& noRoom) {
  const auto waits = [](const AppendRequest& request) { return !request.tombstone; };
  const auto from = std::stable_partition(stalled_.begin(), stalled_.end(), waits);
  std::vector<AppendRequest> tombstones(std::make_move_iterator(from),
                                        std::make_move_iterator(stalled_.end()));
  stalled_.erase(from, stalled_.end());
  keepWords(std::move(tombstones), noRoom);
}

Status StoreEngine::settle(SegmentId) {
  std::vector<LastWord> words;
  for (const auto& [key, sequence] : carried_) words.push_back({key, sequence});
  const Status status = writeWords(words);
  table_.sealIfOldest();
  return status;
}

}  // namespace spolia::store
