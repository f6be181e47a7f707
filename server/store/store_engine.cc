#include "server/store/store_engine.h"

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
      reader_(driver_, table_),
      backend_(ring.name()) {
  uint64_t entries = 0;
  const Status counted = index_.scan(StoreKey{}, [&](const IndexEntry&) {
    ++entries;
    return true;
  });
  figures_.entries = counted.ok() ? entries : 0;
  refreshFigures();
}

void StoreEngine::accept(StoreOp op) {
  if (op.kind == StoreOp::Kind::kGet) return startGet(op);
  if (op.kind == StoreOp::Kind::kPut) op.key = op.put.meta.key;
  mutate(std::move(op));
}

void StoreEngine::mutate(StoreOp op) {
  auto& waiting = mutations_[op.key];
  waiting.push_back(std::move(op));
  if (waiting.size() == 1) startMutation(waiting.front());
}

void StoreEngine::startMutation(StoreOp& op) {
  Result<std::optional<IndexEntry>> known = index_.find(op.key);
  if (!known.ok()) return finishMutation(op.key, failure(op.cookie, known.status()));
  if (op.kind == StoreOp::Kind::kPut) return startPut(op, *known);
  startRemove(op, *known);
}

void StoreEngine::startPut(StoreOp& op, const std::optional<IndexEntry>& known) {
  if (known && op.put.policy == PutPolicy::kIfAbsent && !expired(known->meta)) {
    StoreCompletion completion =
        failure(op.cookie, Status(ErrorCode::kAlreadyExists, "entry " + op.key.hex()));
    completion.meta = known->meta;
    return finishMutation(op.key, std::move(completion));
  }
  append(op, {std::move(op.put.meta), std::move(op.put.payload), false, 0});
}

void StoreEngine::startRemove(StoreOp& op, const std::optional<IndexEntry>& known) {
  // A newer record, or another reader's tombstone, has taken the damaged one's place.
  if (op.damaged && (!known || known->sequence != op.damaged->sequence)) {
    return finishMutation(op.key, failure(op.cookie, Status()));
  }
  if (!known && !inDoubt_.contains(op.key) && !table_.doubtful()) {
    return finishMutation(op.key, failure(op.cookie, absent(op.key)));
  }
  EntryMeta meta;
  meta.key = op.key;
  if (known) meta.kind = known->meta.kind;
  append(op, {std::move(meta), AlignedBuffer(), true, 0});
}

void StoreEngine::append(const StoreOp& op, AppendRequest request) {
  const StoreKey key = op.key;
  const uint64_t cookie = op.cookie;
  request.cookie = nextAppend_++;
  appends_.emplace(request.cookie, key);
  const uint64_t tag = request.cookie;
  if (Status status = log_.append(std::move(request)); !status.ok()) {
    appends_.erase(tag);
    finishMutation(key, failure(cookie, std::move(status)));
  }
}

void StoreEngine::commit(std::vector<Appended> records, std::vector<SegmentMark> marks) {
  IndexBatch batch;
  std::vector<IndexEntry> replaced;
  int64_t added = 0;
  for (const Appended& record : records) {
    if (!record.status.ok()) continue;
    Result<std::optional<IndexEntry>> known = index_.find(record.entry.meta.key);
    if (known.ok() && *known) replaced.push_back(std::move(**known));
    added += (record.tombstone ? 0 : 1) - (known.ok() && *known ? 1 : 0);
    if (record.tombstone) {
      batch.removes.push_back(record.entry.meta.key);
    } else {
      batch.puts.push_back(record.entry);
    }
  }
  batch.marks = std::move(marks);
  const Status applied = batch.empty() ? Status() : index_.apply(batch);
  if (applied.ok()) {
    for (const IndexEntry& entry : batch.puts) table_.live(entry.address);
    for (const IndexEntry& entry : replaced) table_.dead(entry.address);
    figures_.entries += static_cast<uint64_t>(added);
  }
  refreshFigures();
  for (Appended& record : records) {
    const auto node = appends_.extract(record.cookie);
    const StoreKey key = node.mapped();
    if (record.status.ok() && applied.ok()) {
      inDoubt_.erase(key);
    } else {
      inDoubt_.insert(key);
    }
    StoreCompletion completion =
        failure(mutations_[key].front().cookie, record.status.ok() ? applied : record.status);
    completion.meta = std::move(record.entry.meta);
    finishMutation(key, std::move(completion));
  }
}

void StoreEngine::finishMutation(const StoreKey& key, StoreCompletion completion) {
  auto it = mutations_.find(key);
  const StoreKey copy = key;  // `key` may live in the operation that goes now
  StoreQueue& queue = *it->second.front().queue;
  if (std::optional<DamagedRead> damaged = std::move(it->second.front().damaged)) {
    completion = std::move(damaged->answer);
  }
  it->second.pop_front();
  const bool more = !it->second.empty();
  if (!more) mutations_.erase(it);
  queue.push(std::move(completion));
  if (more) startMutation(mutations_.find(copy)->second.front());
}

void StoreEngine::startGet(const StoreOp& op) {
  Result<std::optional<IndexEntry>> known = index_.find(op.key);
  if (!known.ok()) return op.queue->push(failure(op.cookie, known.status()));
  if (!*known || expired((*known)->meta)) {
    return op.queue->push(failure(op.cookie, absent(op.key)));
  }
  StoreOp small;  // what the continuation needs, without a payload
  small.key = op.key;
  small.cookie = op.cookie;
  small.queue = op.queue;
  const IndexEntry entry = std::move(**known);
  auto done = [this, small = std::move(small), entry](ReadResult result) {
    finishGet(small, entry, std::move(result));
  };
  // std::function copies its target; the operation is shared instead.
  auto shared = std::make_shared<decltype(done)>(std::move(done));
  reader_.read(entry, op.offset, op.length,
               [shared](ReadResult result) { (*shared)(std::move(result)); });
}

void StoreEngine::finishGet(const StoreOp& op, const IndexEntry& entry, ReadResult result) {
  figures_.bytesRead += result.bytesRead;
  StoreCompletion completion = failure(op.cookie, result.status);
  completion.bytesRead = result.bytesRead;
  completion.meta = entry.meta;
  if (result.status.code() == ErrorCode::kCorrupt) {
    return quarantine(op, entry.sequence, std::move(completion));
  }
  completion.data = std::move(result.data);
  completion.dataOffset = result.dataOffset;
  completion.dataLength = result.status.ok() ? result.dataLength : 0;
  op.queue->push(std::move(completion));
}

// The entry becomes a miss and stays one. A tombstone says so, before the reader is answered:
// without it a removal could find nothing to remove, and the record come back with an index that a
// crash sets back, or with bytes that read well again. Where none can be written the entry stays,
// and every read of it is verified as this one was.
void StoreEngine::quarantine(const StoreOp& op, uint64_t sequence, StoreCompletion answer) {
  ++figures_.corruptBlocks;
  StoreOp tombstone;
  tombstone.kind = StoreOp::Kind::kRemove;
  tombstone.key = op.key;
  tombstone.cookie = op.cookie;
  tombstone.queue = op.queue;
  tombstone.damaged = DamagedRead{sequence, std::move(answer)};
  mutate(std::move(tombstone));
}

void StoreEngine::refreshFigures() {
  figures_.usedBytes = table_.liveBytes();
  figures_.syncs = log_.syncs();
  figures_.bytesWritten = log_.bytesWritten();
}

StoreFigures StoreEngine::figures() const {
  StoreFigures out;
  out.entries = figures_.entries;
  out.usedBytes = figures_.usedBytes;
  out.capacityBytes = uint64_t{config_.log.maxSegments} * config_.log.segmentBytes;
  out.bytesRead = figures_.bytesRead;
  out.bytesWritten = figures_.bytesWritten;
  out.corruptBlocks = figures_.corruptBlocks;
  out.syncs = figures_.syncs;
  out.ioBackend = backend_;
  return out;
}

}  // namespace spolia::store
