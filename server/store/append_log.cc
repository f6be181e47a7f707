#include "server/store/append_log.h"

#include <algorithm>
#include <cstring>

#include "server/store/io/disk_files.h"
#include "server/store/recovery.h"

namespace spolia::store {
namespace {

// A fresh segment is written with zeros this far ahead of the records, so that the sync of a record
// changes no metadata of the file system; in steps, so that the first put of a store does not wait
// for a whole segment.
constexpr uint64_t kZeroStep = 8 << 20;

// Syncs of a segment on their way.
constexpr size_t kMaxSyncs = 4;

// Generations of one opening: the epoch on top, a counter below, as in sequences.
constexpr int kGenerationBits = 24;

}  // namespace

uint32_t latestEpoch(const SegmentTable& table) {
  uint64_t latest = 0;
  for (const Segment& segment : table.all()) {
    latest = std::max(
        {latest, segment.generation.value >> kGenerationBits, openingOf(segment.lastSequence)});
  }
  latest = std::max(latest, openingOf(table.words().latest()));
  return static_cast<uint32_t>(latest);
}

AppendLog::AppendLog(AppendLogConfig config, RingDriver& driver, SegmentTable& table, Commit commit)
    : config_(config), driver_(driver), table_(table), commit_(std::move(commit)) {}

uint64_t AppendLog::maxPayload() const {
  const uint64_t room = config_.segmentBytes - kDiskBlock - kMaxRecordHeader;
  return std::min(kMaxRecordPayload, room / kDiskBlock * kDiskBlock);
}

uint64_t AppendLog::recordBytes(const EntryMeta& meta, uint64_t payloadBytes) {
  return recordHeaderBytes(payloadBytes, meta.attributes.size()) + roundUpToBlock(payloadBytes);
}

Result<Segment*> AppendLog::recycle(Segment& segment) {
  Segment fresh = segment;
  fresh.generation.value = uint64_t{config_.epoch} << kGenerationBits | ++generations_;
  fresh.end = kDiskBlock;
  fresh.zeroedTo = 0;
  fresh.cleaned = false;
  fresh.tombstones = fresh.markedTo = fresh.firstSequence = fresh.lastSequence = 0;
  const AlignedBuffer header =
      encodeSegmentHeader({fresh.id, fresh.generation, config_.segmentBytes});
  Status status = driver_.ring().writeNow(fresh.file, 0, header.span());
  if (status.ok()) status = driver_.ring().syncNow(fresh.file);
  if (!status.ok()) {
    segment.bad = true;
    return status;
  }
  segment = fresh;
  return &segment;
}

Result<Segment*> AppendLog::create() {
  Segment segment;
  segment.id = table_.nextId();
  segment.generation.value = uint64_t{config_.epoch} << kGenerationBits | ++generations_;
  segment.size = config_.segmentBytes;
  segment.zeroedTo = kDiskBlock;
  const AlignedBuffer header =
      encodeSegmentHeader({segment.id, segment.generation, config_.segmentBytes});
  SPOLIA_ASSIGN_OR_RETURN(segment.file, driver_.ring().create(segmentFileName(segment.id),
                                                              config_.segmentBytes, header.span()));
  table_.add(segment);
  return table_.find(segment.id);
}

size_t AppendLog::freeSegments() const {
  return config_.maxSegments - std::min<size_t>(config_.maxSegments, table_.all().size()) +
         table_.reusableCount();
}

uint64_t AppendLog::roomIn(OpenFor open) const {
  const Segment* active = table_.active(open);
  return active != nullptr ? active->room() : 0;
}

// Of two that are open only one can be counted on: records do not divide.
uint64_t AppendLog::roomForMoves() const {
  return std::max(roomIn(OpenFor::kPuts), roomIn(OpenFor::kMoves)) +
         freeSegments() * (config_.segmentBytes - kDiskBlock);
}

// Puts leave the last free segment to tombstones and moves, and tombstones leave it to moves when
// it would not take them all afterwards: a full store can still be emptied.
bool AppendLog::mayTakeFree(RoomFor what, uint64_t bytes) {
  const size_t free = freeSegments();
  if (what == RoomFor::kMove || free != 1) return free > 0;
  if (what == RoomFor::kPut) return false;
  const uint64_t room = config_.segmentBytes - kDiskBlock - bytes;
  const Segment* next = table_.nextToClean(room);
  return next == nullptr || next->liveBytes <= room;
}

Result<Segment*> AppendLog::roll(OpenFor open, RoomFor what, uint64_t bytes) {
  const std::optional<SegmentId> previous =
      table_.active(open) != nullptr ? std::optional(table_.active(open)->id) : std::nullopt;
  // A full active segment may itself be free to be written again.
  table_.clearActive(open);
  Result<Segment*> next = Status(ErrorCode::kInternal, "no segment");
  if (!mayTakeFree(what, bytes)) {
    next =
        Status(ErrorCode::kOutOfSpace,
               "the store's cap of " + std::to_string(config_.maxSegments * config_.segmentBytes) +
                   " bytes is reached");
  } else if (Segment* free = table_.reusable()) {
    next = recycle(*free);
  } else {
    next = create();
  }
  // Full for this record is not full for a shorter one.
  if (next.ok() || previous) table_.setActive(open, next.ok() ? (*next)->id : *previous);
  return next;
}

// What is moved goes where there is room, in the end.
Result<Segment*> AppendLog::segmentForMove(uint64_t bytes, OpenFor open) {
  if (roomIn(open) >= bytes) return table_.active(open);
  Result<Segment*> begun = roll(open, RoomFor::kMove, bytes);
  const OpenFor other = open == OpenFor::kPuts ? OpenFor::kMoves : OpenFor::kPuts;
  return begun.ok() || roomIn(other) < bytes ? begun : table_.active(other);
}

Result<Segment*> AppendLog::segmentFor(uint64_t bytes, RoomFor what, OpenFor open) {
  if (what == RoomFor::kMove) return segmentForMove(bytes, open);
  if (roomIn(OpenFor::kPuts) < bytes) return roll(OpenFor::kPuts, what, bytes);
  const uint64_t keep = what == RoomFor::kPut ? keptFromPuts_ : keptFromTombstones_;
  const bool taken = roomIn(OpenFor::kPuts) < bytes + keep && roomIn(OpenFor::kMoves) < keep;
  if (!taken || freeSegments() > 0) return table_.active(OpenFor::kPuts);
  return Status(ErrorCode::kOutOfSpace, "the room that is left is kept for moves");
}

Status AppendLog::sealOne() {
  if (table_.active(OpenFor::kMoves) == nullptr) {
    return roll(OpenFor::kPuts, RoomFor::kMove, 0).status();
  }
  table_.clearActive(OpenFor::kMoves);
  return Status();
}

Status AppendLog::zeroAhead(Segment& segment, uint64_t end) {
  if (segment.zeroedTo == 0 || end <= segment.zeroedTo) return Status();
  const uint64_t target = std::min(segment.size, (end + kZeroStep - 1) / kZeroStep * kZeroStep);
  const AlignedBuffer zeros = AlignedBuffer::zeroed(target - segment.zeroedTo);
  SPOLIA_RETURN_IF_ERROR(driver_.ring().writeNow(segment.file, segment.zeroedTo, zeros.span()));
  segment.zeroedTo = target;
  // No sync of its own: the record's covers it.
  return Status();
}

Status AppendLog::append(AppendRequest& request) {
  if (request.payload.size() > maxPayload()) {
    return Status(ErrorCode::kInvalidArgument,
                  "payload of " + std::to_string(request.payload.size()) +
                      " bytes, a record takes at most " + std::to_string(maxPayload()));
  }
  if (request.meta.attributes.size() > kMaxAttributeBytes) {
    return Status(ErrorCode::kInvalidArgument,
                  "attributes of " + std::to_string(request.meta.attributes.size()) +
                      " bytes, expected at most " + std::to_string(kMaxAttributeBytes));
  }
  request.meta.payloadBytes = request.payload.size();
  const uint64_t bytes = recordBytes(request.meta, request.payload.size());
  SPOLIA_ASSIGN_OR_RETURN(Segment * segment, segmentFor(bytes, request.roomFor, request.open));
  if (Status status = zeroAhead(*segment, segment->end + bytes); !status.ok()) {
    segment->bad = true;
    return status;
  }
  auto record = std::make_shared<Record>();
  record->address = {segment->id, segment->generation, segment->end, bytes};
  record->sequence = takeSequence();
  const Queue& queue = queues_[segment->id];
  const uint64_t acknowledgedTo =
      queue.records.empty() ? segment->end : queue.records.front()->address.offset;
  record->header = encodeRecordHeader(
      request.meta, {segment->generation, segment->end, record->sequence, acknowledgedTo},
      request.tombstone, request.payload.span());
  record->request = std::move(request);
  segment->end += bytes;
  // From here on the record may be found after a crash, acknowledged or not.
  if (segment->firstSequence == 0) segment->firstSequence = record->sequence;
  ++segment->pins;
  ++segment->unacknowledged;
  ++pending_;
  queues_[segment->id].records.push_back(record);
  write(record, segment->file);
  return Status();
}

// One request in place of two, where header and payload can lie one behind the other.
void AppendLog::join(Record& record) {
  AlignedBuffer& payload = record.request.payload;
  const uint64_t padded = roundUpToBlock(payload.size());
  std::memset(payload.data() + payload.size(), 0, padded - payload.size());
  payload.resizeWithin(padded);
  if (!payload.growFront(record.header.size())) return;
  std::memcpy(payload.data(), record.header.data(), record.header.size());
  record.header = AlignedBuffer();
}

void AppendLog::write(const std::shared_ptr<Record>& record, FileHandle file) {
  if (!record->request.payload.empty()) join(*record);
  const auto done = [this, record](int error) {
    if (error != 0) record->error = error;
    if (--record->writesLeft == 0) advance(record->address.segment);
  };
  bytesWritten_ += record->address.length;
  uint64_t at = record->address.offset;
  record->writesLeft = !record->header.empty() + !record->request.payload.empty();
  for (AlignedBuffer* part : {&record->header, &record->request.payload}) {
    if (part->empty()) continue;
    driver_.issue({RingOp::kWrite, file, at, part->data(), part->size(), 0}, done);
    at += part->size();
  }
}

// Syncs the longest run of written records at the front, as far as no sync under way covers it.
void AppendLog::advance(SegmentId id) {
  Queue& queue = queues_[id];
  if (queue.failed) return failAll(id);
  const uint64_t covered = queue.syncs.empty() ? queue.acknowledged : queue.syncs.back().upTo;
  uint64_t upTo = queue.acknowledged, bytes = 0;
  for (const auto& record : queue.records) {
    if (record->writesLeft > 0 || record->error != 0) break;
    if (++upTo > covered) bytes += record->address.length;
  }
  if (upTo == queue.acknowledged) {
    const bool failed = !queue.records.empty() && queue.records.front()->writesLeft == 0;
    if (failed) failAll(id);
    return;
  }
  if (!config_.durable) return acknowledge(id, upTo - queue.acknowledged);
  const bool others = !queue.syncs.empty();
  if (bytes == 0 || (others && (bytes < config_.worthSync || queue.syncs.size() >= kMaxSyncs)))
    return;
  const uint64_t number = ++syncs_;
  queue.syncs.push_back({number, upTo});
  driver_.issue({RingOp::kSync, table_.find(id)->file, 0, nullptr, 0, 0},
                [this, id, number](int error) { synced(id, number, error); });
}

// In the order issued: a sync that went well says nothing while one before it may fail. Nor does it
// once any has failed, since the kernel tells of an error only once.
void AppendLog::synced(SegmentId id, uint64_t number, int error) {
  Queue& queue = queues_[id];
  if (error != 0) queue.failed = true;
  std::ranges::find(queue.syncs, number, &Sync::number)->done = true;
  while (!queue.syncs.empty() && queue.syncs.front().done) {
    const uint64_t upTo = queue.syncs.front().upTo;
    queue.syncs.pop_front();
    if (!queue.failed && upTo > queue.acknowledged) acknowledge(id, upTo - queue.acknowledged);
  }
  advance(id);
}

void AppendLog::acknowledge(SegmentId id, size_t count) {
  Queue& queue = queues_[id];
  Segment& segment = *table_.find(id);
  std::vector<Appended> done;
  uint64_t end = 0;
  for (size_t i = 0; i < count; ++i) {
    const std::shared_ptr<Record> record = queue.records.front();
    queue.records.pop_front();
    done.push_back({record->request.cookie, Status(), record->request.tombstone,
                    record->request.roomFor, record->address.length,
                    IndexEntry{std::move(record->request.meta), record->address, record->sequence},
                    std::move(record->request.payload)});
    end = record->address.offset + record->address.length;
    segment.lastSequence = record->sequence;
    if (record->request.tombstone) ++segment.tombstones;
  }
  queue.acknowledged += count;
  pending_ -= count;
  segment.unacknowledged -= static_cast<uint32_t>(count);
  segment.markedTo = end;
  const SegmentMark mark{
      id, segment.generation, end, segment.tombstones, segment.firstSequence, segment.lastSequence};
  segment.pins -= static_cast<uint32_t>(count);
  commit_(std::move(done), {mark});
}

// Fails every record whose memory the ring has given back; the others follow as they complete.
void AppendLog::failAll(SegmentId id) {
  Queue& queue = queues_[id];
  Segment& segment = *table_.find(id);
  segment.bad = true;
  queue.failed = true;
  std::vector<std::shared_ptr<Record>> failed;
  std::deque<std::shared_ptr<Record>> busy;
  for (auto& record : queue.records) {
    (record->writesLeft == 0 ? static_cast<void>(failed.push_back(record))
                             : static_cast<void>(busy.push_back(record)));
  }
  queue.records = std::move(busy);
  pending_ -= failed.size();
  segment.pins -= static_cast<uint32_t>(failed.size());
  segment.unacknowledged -= static_cast<uint32_t>(failed.size());
  std::vector<Appended> outcome;
  for (const auto& record : failed) {
    const Status why = record->error != 0
                           ? statusOfErrno(record->error, segmentFileName(id))
                           : Status(ErrorCode::kIoError,
                                    segmentFileName(id) + ": an earlier write or sync failed");
    outcome.push_back({record->request.cookie, why, record->request.tombstone,
                       record->request.roomFor, record->address.length,
                       IndexEntry{std::move(record->request.meta), {}, 0}});
  }
  if (!outcome.empty()) commit_(std::move(outcome), {});
}

}  // namespace spolia::store
