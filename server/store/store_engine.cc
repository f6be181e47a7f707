#include "server/store/store_engine.h"

#include <algorithm>
#include <utility>

namespace spolia::store {
namespace {

StoreCompletion failure(uint64_t cookie, Status status) {
  StoreCompletion completion;
  completion.cookie = cookie;
  completion.status = std::move(status);
  return completion;
}

Status absent(const StoreKey& key) {
  return Status(ErrorCode::kNotFound, "no entry " + key.hex());
}

uint64_t capacityOf(const AppendLogConfig& log) {
  return uint64_t{log.maxSegments} * log.segmentBytes;
}

// What may be live at most: cleaning an almost full segment would free almost nothing, and one
// segment is kept for the moves.
Footprint budgetOf(const EngineConfig& config) {
  const AppendLogConfig& log = config.log;
  const uint64_t room = (log.maxSegments - 1) * (log.segmentBytes - kDiskBlock);
  return {room / 10 * 9, config.indexEntryBytes};
}

Residents::Config residentsConfigOf(const EngineConfig& config) {
  Residents::Config out{nullptr, config.worthOf, budgetOf(config), config.quotas};
  if (config.makePolicy) {
    out.makePolicy = [&config] { return config.makePolicy(capacityOf(config.log)); };
  }
  return out;
}

}  // namespace

StoreEngine::StoreEngine(EngineConfig config, Ring& ring, Index& index, SegmentTable table)
    : config_(std::move(config)),
      index_(index),
      table_(std::move(table)),
      driver_(ring),
      log_(config_.log, driver_, table_,
           [this](std::vector<Appended> records, std::vector<SegmentMark> marks) {
             commit(std::move(records), std::move(marks));
           }),
      reader_(driver_, table_, [this] { readerLeft(); }),
      deadlines_(config_.monotonic),
      cleaner_(driver_, table_, *this),
      residents_(residentsConfigOf(config_)),
      backend_(ring.name()) {
  chooseCleaning();
  loadResidents();
  keepForNext();
  shrink();
  refreshFigures();
}

void StoreEngine::accept(StoreOp op) {
  if (op.kind == StoreOp::Kind::kExpire) return expire(op.keys);
  if (op.kind == StoreOp::Kind::kSettle) return op.queue->push(failure(op.cookie, Status()));
  if (op.kind == StoreOp::Kind::kGet || op.kind == StoreOp::Kind::kVerify) return startGet(op);
  if (op.kind == StoreOp::Kind::kPut) op.key = op.put.meta.key;
  mutate(std::move(op));
}

void StoreEngine::pump(Ring::Wait mode) {
  driver_.pump(mode, deadlines_.left());
  deadlines_.expire();
}

void StoreEngine::mutate(StoreOp op) {
  auto& waiting = mutations_[op.key];
  const bool first = waiting.empty() || (op.done != nullptr && takeBack(waiting.front()));
  first ? waiting.push_front(std::move(op)) : waiting.push_back(std::move(op));
  if (first) startMutation(waiting.front());
}

// What waits for room waits for cleaning, so cleaning must not wait for it in turn: the operation
// becomes one that has not begun. False when it does not wait.
bool StoreEngine::takeBack(StoreOp& op) {
  const auto at = std::ranges::find_if(stalled_, [&](const AppendRequest& request) {
    return appends_.at(request.cookie) == op.key;
  });
  if (at == stalled_.end()) return false;
  if (at->roomFor == RoomFor::kPut) {
    pendingPuts_ -= footprintOf(*at);
    op.put.meta = std::move(at->meta);
    op.put.payload = std::move(at->payload);
  }
  appends_.erase(at->cookie);
  stalled_.erase(at);
  return true;
}

void StoreEngine::startMutation(StoreOp& op) {
  Result<std::optional<IndexEntry>> known = index_.find(op.key);
  if (!known.ok()) return finishMutation(op.key, failure(op.cookie, known.status()));
  switch (op.kind) {
    case StoreOp::Kind::kPut:
      return startPut(op, *known);
    case StoreOp::Kind::kMove:
      // Replaced or removed since it was read: nothing is left to move.
      if (!*known || (*known)->sequence != op.sequence) break;
      return append(op, {std::move(op.put.meta), std::move(op.put.payload), false, RoomFor::kMove,
                         segmentForMoves((*known)->meta)});
    default:
      return startRemove(op, *known);
  }
  finishMutation(op.key, StoreCompletion());
}

void StoreEngine::startPut(StoreOp& op, const std::optional<IndexEntry>& known) {
  if (known && op.put.policy == PutPolicy::kIfAbsent && !expired(known->meta)) {
    StoreCompletion completion =
        failure(op.cookie, Status(ErrorCode::kAlreadyExists, "entry " + op.key.hex()));
    completion.meta = known->meta;
    return finishMutation(op.key, std::move(completion));
  }
  if (Status status = refuseIfTooMuch(op.put); !status.ok()) {
    return finishMutation(op.key, failure(op.cookie, std::move(status)));
  }
  append(op, {std::move(op.put.meta), std::move(op.put.payload)});
}

void StoreEngine::startRemove(StoreOp& op, const std::optional<IndexEntry>& known) {
  // A newer record, or another reader's tombstone, has taken the damaged one's place.
  if (op.damaged && (!known || known->sequence != op.damaged->sequence)) {
    return finishMutation(op.key, failure(op.cookie, Status()));
  }
  const bool mayComeBack =
      inDoubt_.contains(op.key) || table_.doubtful() || table_.mayHoldEvicted();
  if (!known && !mayComeBack) {
    return finishMutation(op.key, failure(op.cookie, absent(op.key)));
  }
  EntryMeta meta;
  meta.key = op.key;
  if (known) meta.kind = known->meta.kind;
  if (known && op.damaged) config_.gone(known->meta);
  op.unknown = !known;
  // Cleaning cannot wait for the room that it makes.
  append(op,
         {std::move(meta), AlignedBuffer(), true, op.done ? RoomFor::kMove : RoomFor::kTombstone});
}

Footprint StoreEngine::footprintOf(const AppendRequest& request) {
  return Residents::footprintOf(request.meta,
                                AppendLog::recordBytes(request.meta, request.payload.size()));
}

void StoreEngine::append(const StoreOp& op, AppendRequest request) {
  const StoreKey key = op.key;
  const uint64_t cookie = op.cookie;
  request.cookie = nextAppend_++;
  appends_.emplace(request.cookie, key);
  const uint64_t tag = request.cookie;
  const bool mayWait = !op.done;
  const bool put = request.roomFor == RoomFor::kPut;
  if (put) pendingPuts_ += footprintOf(request);
  Status status = index_.writable();
  const bool mayWrite = status.ok();
  if (mayWrite) {
    status = mayWait && !stalled_.empty() ? Status(ErrorCode::kOutOfSpace, "others wait")
                                          : log_.append(request);
  }
  if (status.ok()) return cleanAhead();
  if (mayWrite && mayWait && status.code() == ErrorCode::kOutOfSpace) {
    stalled_.push_back(std::move(request));
    return letCleaningPass(key) ? void() : relieve();
  }
  if (mayWrite && request.tombstone && status.code() == ErrorCode::kOutOfSpace) {
    std::vector<AppendRequest> one;
    one.push_back(std::move(request));
    return keepWords(std::move(one), status);
  }
  if (put) pendingPuts_ -= footprintOf(request);
  appends_.erase(tag);
  finishMutation(key, failure(cookie, std::move(status)));
}

// The same when cleaning's operation is in line behind one that comes to wait.
bool StoreEngine::letCleaningPass(const StoreKey& key) {
  auto& waiting = mutations_.at(key);
  const auto own = std::find_if(waiting.begin() + 1, waiting.end(),
                                [](const StoreOp& op) { return op.done != nullptr; });
  if (own == waiting.end()) return false;
  StoreOp op = std::move(*own);
  waiting.erase(own);
  takeBack(waiting.front());
  waiting.push_front(std::move(op));
  startMutation(waiting.front());
  return true;
}

bool StoreEngine::isMove(uint64_t appendCookie) const {
  return mutations_.at(appends_.at(appendCookie)).front().kind == StoreOp::Kind::kMove;
}

StoreEngine::Changes StoreEngine::changesOf(const std::vector<Appended>& records,
                                            std::vector<SegmentMark> marks) {
  Changes changes;
  changes.batch.marks = std::move(marks);
  Residents::Claim claim = residents_.claim();
  for (const Appended& record : records) {
    if (!record.status.ok()) continue;
    Result<std::optional<IndexEntry>> known = index_.find(record.entry.meta.key);
    if (known.ok() && *known) {
      residents_.claimFreed(claim, (*known)->meta, (*known)->address.length);
      changes.dead.push_back(std::move(**known));
    }
    if (record.tombstone) {
      changes.batch.removes.push_back(record.entry.meta.key);
    } else {
      residents_.claimAdded(claim, record.entry.meta, record.entry.address.length);
      changes.batch.puts.push_back(record.entry);
    }
  }
  while (residents_.over(claim) && evictOne(changes, &claim)) {
  }
  return changes;
}

// The index has the changes.
void StoreEngine::applied(const Changes& changes, const std::vector<Appended>& records) {
  std::unordered_set<StoreKey, DigestHash> moved;
  for (const Appended& record : records) {
    if (record.status.ok() && isMove(record.cookie)) moved.insert(record.entry.meta.key);
  }
  for (const IndexEntry& entry : changes.batch.puts) table_.live(entry.address);
  for (const IndexEntry& entry : changes.dead) {
    table_.dead(entry.address);
    if (moved.contains(entry.meta.key)) continue;
    cleanedInVain_ = shrunkInVain_ = 0;  // there is more to gain than there was
    residents_.remove(entry.meta, entry.address.length, Departure::kRemoved);
  }
  for (const IndexEntry& entry : changes.evicted) {
    table_.dead(entry.address);
    config_.gone(entry.meta);
  }
  for (const IndexEntry& entry : changes.batch.puts) {
    if (moved.contains(entry.meta.key)) {
      figures_.movedBytes += entry.address.length;
    } else {
      residents_.add(entry.meta, entry.address.length, nowMs());
      config_.expires(entry.meta.expiresAt);
    }
  }
  figures_.entries += changes.batch.puts.size() - changes.dead.size() - changes.evicted.size();
  figures_.evicted += changes.evicted.size() - changes.expired;
  figures_.expired += changes.expired;
}

void StoreEngine::commit(std::vector<Appended> records, std::vector<SegmentMark> marks) {
  const Changes changes = changesOf(records, std::move(marks));
  const Status stored = changes.batch.empty() ? Status() : index_.apply(changes.batch);
  stored.ok() ? applied(changes, records) : keepEvicted(changes);
  refreshFigures();
  for (Appended& record : records) {
    const auto node = appends_.extract(record.cookie);
    const StoreKey key = node.mapped();
    if (record.status.ok() && stored.ok()) {
      inDoubt_.erase(key);
    } else {
      inDoubt_.insert(key);
    }
    if (record.roomFor == RoomFor::kPut)
      pendingPuts_ -= Residents::footprintOf(record.entry.meta, record.bytes);
    const StoreOp& op = mutations_.at(key).front();
    Status status = record.status.ok() ? stored : record.status;
    if (status.ok() && op.unknown) status = absent(key);
    StoreCompletion completion = failure(op.cookie, std::move(status));
    completion.meta = std::move(record.entry.meta);
    completion.data = std::move(record.memory);
    finishMutation(key, std::move(completion));
  }
  if (cleaner_.busy()) keepForCleaning(*table_.find(*cleaner_.segment()));
  if (!stalled_.empty()) relieve();
}

void StoreEngine::finishMutation(const StoreKey& key, StoreCompletion completion) {
  auto it = mutations_.find(key);
  const StoreKey copy = key;  // `key` may live in the operation that goes now
  StoreQueue* const queue = it->second.front().queue;
  const std::function<void(Status)> done = std::move(it->second.front().done);
  if (std::optional<DamagedRead> damaged = std::move(it->second.front().damaged)) {
    completion = std::move(damaged->answer);
  }
  it->second.pop_front();
  const bool more = !it->second.empty();
  if (!more) mutations_.erase(it);
  done ? done(completion.status) : queue->push(std::move(completion));
  if (more) startMutation(mutations_.find(copy)->second.front());
}

struct StoreEngine::Get {
  StoreOp op;  // what its end needs, without a payload
  IndexEntry entry;
  Deadlines::Ticket late = Deadlines::kNoTicket;
  bool done = false;
};

void StoreEngine::startGet(const StoreOp& op) {
  if (deadlines_.passed(op.deadline)) {
    return op.queue->push(
        failure(op.cookie, Status(ErrorCode::kDeadlineExceeded, "not begun by the deadline")));
  }
  Result<std::optional<IndexEntry>> known = index_.find(op.key);
  if (!known.ok()) return op.queue->push(failure(op.cookie, known.status()));
  if (!*known || expired((*known)->meta)) {
    return op.queue->push(failure(op.cookie, absent(op.key)));
  }
  if (op.kind == StoreOp::Kind::kGet) residents_.touch(op.key, nowMs());
  auto get = std::make_shared<Get>();
  get->op.kind = op.kind;
  get->op.key = op.key;
  get->op.cookie = op.cookie;
  get->op.queue = op.queue;
  get->entry = std::move(**known);
  const auto reading =
      reader_.read(get->entry, op.offset, op.length, [this, get](ReadResult result) {
        deadlines_.remove(get->late);
        get->done = true;
        finishGet(get->op, get->entry, std::move(result));
      });
  if (get->done) return;
  get->late = deadlines_.add(op.deadline, [this, reading] {
    ++figures_.lateReads;
    reader_.giveUp(reading);
  });
}

void StoreEngine::finishGet(const StoreOp& op, const IndexEntry& entry, ReadResult result) {
  if (op.kind == StoreOp::Kind::kGet) figures_.bytesRead += result.bytesRead;
  StoreCompletion completion = failure(op.cookie, result.status);
  completion.bytesRead = result.bytesRead;
  completion.meta = entry.meta;
  completion.meta->version = entry.sequence;
  if (result.status.code() == ErrorCode::kCorrupt) {
    quarantine(op, entry.sequence, std::move(completion));
  } else {
    answerGet(op, std::move(completion), std::move(result));
  }
  readerLeft();
}

void StoreEngine::readerLeft() {
  if (!stalled_.empty()) relieve();
  shrink();
}

void StoreEngine::answerGet(const StoreOp& op, StoreCompletion completion, ReadResult result) {
  if (op.kind == StoreOp::Kind::kGet) {
    completion.data = std::move(result.data);
    completion.dataOffset = result.dataOffset;
    completion.dataLength = result.status.ok() ? result.dataLength : 0;
  }
  op.queue->push(std::move(completion));
}

// The entry becomes a miss and stays one. A tombstone says so, before the reader is answered:
// without it a removal could find nothing to remove, and the record come back with an index that a
// crash sets back, or with bytes that read well again. Where none can be written the entry stays,
// and every read of it is verified as this one was.
void StoreEngine::quarantine(const StoreOp& op, uint64_t sequence, StoreCompletion answer) {
  ++figures_.corruptBlocks;
  config_.damaged(op.key);
  StoreOp tombstone;
  tombstone.kind = StoreOp::Kind::kRemove;
  tombstone.key = op.key;
  tombstone.cookie = op.cookie;
  tombstone.queue = op.queue;
  tombstone.done = op.done;
  tombstone.damaged = DamagedRead{sequence, std::move(answer)};
  mutate(std::move(tombstone));
}

void StoreEngine::refreshFigures() {
  figures_.usedBytes = residents_.live().record;
  figures_.syncs = log_.syncs();
  figures_.bytesWritten = log_.bytesWritten();
}

StoreFigures StoreEngine::figures() const {
  StoreFigures out;
  out.entries = figures_.entries;
  out.usedBytes = figures_.usedBytes;
  out.capacityBytes = config_.capacityBytes != 0 ? config_.capacityBytes : capacityOf(config_.log);
  out.bytesRead = figures_.bytesRead;
  out.bytesWritten = figures_.bytesWritten;
  out.corruptBlocks = figures_.corruptBlocks;
  out.syncs = figures_.syncs;
  out.evicted = figures_.evicted;
  out.expired = figures_.expired;
  out.leased = config_.leases == nullptr ? 0 : config_.leases->entries();
  out.movedBytes = figures_.movedBytes;
  out.cleanedSegments = figures_.cleanedSegments;
  out.lateReads = figures_.lateReads;
  out.indexBytes = index_.diskBytes();
  out.readOnly = index_.writable().message();
  out.ioBackend = backend_;
  out.ioMissing = config_.ioMissing;
  out.owners = residents_.usage();
  return out;
}

}  // namespace spolia::store
