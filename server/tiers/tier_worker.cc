#include "server/tiers/tier_worker.h"

#include <poll.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace spolia::tiers {
namespace {

using codec::ChunkCompletion;
using codec::Tier;
using Interest = ExtentReader::Interest;
using Kind = TierRequest::Kind;

constexpr uint64_t kParsedHeadersBytes = 32u << 20;
constexpr int kMostRestarts = 3;

timespec timespecOf(std::chrono::nanoseconds time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  return {seconds.count(), (time - seconds).count()};
}

// Neither counted as a hit nor as a miss.
bool isRead(Kind kind) {
  return kind == Kind::kOpen || kind == Kind::kFetch || kind == Kind::kGetValue;
}

bool isWrite(Kind kind) {
  return kind == Kind::kStore || kind == Kind::kPutValue || kind == Kind::kRemove;
}

// Bytes of the frames, neighbours together.
std::vector<PayloadRange> rangesOf(const codec::StreamHeader& header,
                                   const std::vector<uint32_t>& frames) {
  std::vector<PayloadRange> ranges;
  for (uint32_t index : frames) {
    const codec::FrameEntry& frame = header.frames[index];
    if (!ranges.empty() && ranges.back().offset + ranges.back().length == frame.offset) {
      ranges.back().length += frame.size;
    } else {
      ranges.push_back({frame.offset, frame.size});
    }
  }
  return ranges;
}

}  // namespace

TierWorker::TierWorker(store::Store& store, GoneQueue& gone, uint64_t memoryBytes,
                       Lifetimes lifetimes)
    : store_(store),
      lifetimes_(lifetimes),
      gone_(gone),
      memory_(memoryBytes),
      reader_(store, memory_,
              [this](uint64_t number, ValueRead read) { onRead(number, std::move(read)); }),
      extents_(store,
               [this](uint64_t number, Status status) { onWritten(number, std::move(status)); }),
      headers_(kParsedHeadersBytes),
      thread_([this] { run(); }) {}

TierWorker::~TierWorker() {
  requests_.push({});
  thread_.join();
}

void TierWorker::run() {
  pollfd queues[] = {{requests_.eventFd(), POLLIN, 0},
                     {written_.eventFd(), POLLIN, 0},
                     {reader_.eventFd(), POLLIN, 0},
                     {extents_.eventFd(), POLLIN, 0},
                     {gone_.eventFd(), POLLIN, 0}};
  while (!stopping_ || !operations_.empty() || !reader_.idle() || !extents_.idle()) {
    // An interrupted poll looks like an idle one: the queues are drained either way.
    const timespec left = timespecOf(reader_.left());
    static_cast<void>(::ppoll(queues, std::size(queues), &left, nullptr));
    for (store::StoreCompletion& completion : written_.drain()) {
      onWritten(completion.cookie, std::move(completion.status));
    }
    reader_.drain();
    extents_.drain();
    for (const store::EntryMeta& meta : gone_.drain()) onGone(meta);
    for (TierRequest& request : requests_.drain()) accept(std::move(request));
  }
}

void TierWorker::accept(TierRequest request) {
  if (request.kind == Kind::kStop) {
    stopping_ = true;
    return;
  }
  if (request.kind == Kind::kReadAhead) return readAhead(request);
  if (request.kind == Kind::kDiscard) return extents_.discard(request.extents);
  const uint64_t number = nextNumber_++;
  Operation& operation = operations_[number];
  operation.request = std::move(request);
  begin(number, operation);
}

// An entry that cannot be found or read is found out by whoever asks for it.
void TierWorker::readAhead(const TierRequest& request) {
  for (const ChunkId& id : request.ids) {
    const StoreKey key = storeKeyOf(request.ns, id);
    const auto found = store_.find(key);
    if (!found.ok() || !*found) continue;
    const auto attributes = readAttributes((*found)->attributes);
    if (!attributes.ok()) continue;
    reader_.readAhead({key, (*found)->version, (*found)->payloadBytes, attributes->extents});
  }
}

void TierWorker::begin(uint64_t number, Operation& operation) {
  if (operation.request.kind == Kind::kSettle) return store_.submitSettle(number, written_);
  if (!isWrite(operation.request.kind)) {
    operation.key = storeKeyOf(operation.request.ns, operation.request.id);
    beginRead(number, operation);
    return;
  }
  Status status;
  if (operation.request.kind == Kind::kStore) status = prepareStore(operation);
  if (operation.request.kind == Kind::kPutValue) status = prepareValue(operation);
  if (!status.ok()) {
    fail(number, std::move(status));
    return;
  }
  operation.key = storeKeyOf(operation.request.ns, operation.request.id);
  if (claimKey(number, operation)) beginWrite(number, operation);
}

void TierWorker::beginRead(uint64_t number, Operation& operation) {
  auto found = store_.find(operation.key);
  if (!found.ok()) return fail(number, found.status());
  // A header alone is read before its frames are.
  const bool wanted = operation.restarts == 0 && operation.request.kind != Kind::kOpen;
  if (wanted || !*found) store_.noteDemand(operation.key, *found);
  if (!*found) return fail(number, Status(ErrorCode::kNotFound, "no such entry"));
  auto attributes = readAttributes((*found)->attributes);
  auto info = entryInfoOf(**found);
  if (!attributes.ok()) return fail(number, attributes.status());
  if (!info.ok()) return fail(number, info.status());
  operation.version = (*found)->version;
  operation.attributes = std::move(*attributes);
  operation.info = std::move(*info);
  if (operation.request.kind == Kind::kGetValue) {
    return read(number, operation, {{0, operation.info.bytes}}, Interest::kAsked);
  }
  if (operation.info.kind != codec::EntryKind::kChunk) {
    return fail(number, Status(ErrorCode::kNotFound, "no such chunk; the id names another kind"));
  }
  operation.header = headers_.find(operation.key, operation.attributes.contentTag);
  if (operation.header != nullptr) return afterHeader(number, operation);
  operation.readingHeader = true;
  read(number, operation, {{0, operation.attributes.headerBytes}}, Interest::kPassing);
}

void TierWorker::read(uint64_t number, const Operation& operation,
                      const std::vector<PayloadRange>& ranges, Interest interest) {
  reader_.read(sourceOf(operation), ranges, interest, number, operation.request.deadline);
}

ValueSource TierWorker::sourceOf(const Operation& operation) {
  return {operation.key, operation.version, operation.info.bytes, operation.attributes.extents};
}

void TierWorker::onRead(uint64_t number, ValueRead read) {
  Operation& operation = operations_.at(number);
  operation.bytesRead += read.bytesRead;
  const bool header = std::exchange(operation.readingHeader, false);
  if (!read.status.ok() || read.replaced) {
    if (restart(number, operation, read)) return;
    if (read.incomplete && operation.attributes.extents) {
      drop(operation.key, *operation.attributes.extents);
    }
    if (read.status.ok()) {
      read.status = Status(ErrorCode::kUnavailable, "replaced again and again while it was read");
    }
    return fail(number, std::move(read.status));
  }
  if (header) return onHeader(number, operation, std::move(read));
  operation.request.kind == Kind::kGetValue ? onValue(number, operation, std::move(read))
                                            : onFrames(number, operation, std::move(read));
}

bool TierWorker::restart(uint64_t number, Operation& operation, const PayloadRead& read) {
  const bool late = read.status.code() == ErrorCode::kDeadlineExceeded;
  if (late || operation.restarts == kMostRestarts) return false;
  if (read.remembered && read.status.ok() && !read.replaced) reader_.drop(sourceOf(operation));
  if (!read.replaced && !(read.remembered && read.status.ok())) {
    const auto found = store_.find(operation.key);
    if (!found.ok() || !*found || (*found)->version == operation.version) return false;
  }
  ++operation.restarts;
  beginRead(number, operation);
  return true;
}

void TierWorker::onHeader(uint64_t number, Operation& operation, PayloadRead read) {
  auto header = codec::parseHeader(read.range());
  if (!header.ok() || header->chunkId != operation.request.id) {
    if (restart(number, operation, read)) return;
    return fail(number, header.ok() ? Status(ErrorCode::kCorrupt, "stored under another id")
                                    : header.status());
  }
  auto entry = std::make_shared<CachedHeader>();
  entry->contentTag = operation.attributes.contentTag;
  entry->raw = toBytes(read.range().first(header->headerBytes));
  entry->header = std::make_shared<const codec::StreamHeader>(std::move(*header));
  headers_.insert(operation.key, entry);
  operation.header = std::move(entry);
  afterHeader(number, operation);
}

void TierWorker::afterHeader(uint64_t number, Operation& operation) {
  if (operation.request.kind == Kind::kFetch) return readFrames(number, operation);
  ChunkCompletion completion;
  completion.header = operation.header->header;
  completion.bytes = AlignedBuffer::copyOf(operation.header->raw);
  completion.tier = operation.bytesRead == 0 ? Tier::kMemory : Tier::kDisk;
  finish(number, std::move(completion));
}

void TierWorker::readFrames(uint64_t number, Operation& operation) {
  const codec::StreamHeader& header = *operation.header->header;
  operation.frames = codec::coveringFrames(header, operation.request.range);
  std::vector<PayloadRange> ranges = rangesOf(header, operation.frames);
  uint64_t total = 0;
  for (const PayloadRange& range : ranges) total += range.length;
  // Offsets of slices are 32 bits, and a read may begin up to a block before its range.
  if (total > UINT32_MAX / 2) {
    return fail(number, Status(ErrorCode::kResourceExhausted, "range: expected less at a time"));
  }
  read(number, operation, ranges, Interest::kAsked);
}

void TierWorker::onFrames(uint64_t number, Operation& operation, PayloadRead read) {
  ChunkCompletion completion;
  completion.header = operation.header->header;
  completion.tier = read.tier;
  Status status;
  uint64_t at = 0;
  for (uint32_t index : operation.frames) {
    const uint32_t size = completion.header->frames[index].size;
    if (size > read.length - at) {
      status = Status(ErrorCode::kCorrupt, "stored stream is shorter than its frame table says");
    } else {
      status = codec::verifyFrame(*completion.header, {index, read.range().subspan(at, size)});
    }
    if (!status.ok()) break;
    completion.frames.push_back({index, static_cast<uint32_t>(read.start + at), size});
    at += size;
  }
  if (!status.ok()) {
    if (restart(number, operation, read)) return;
    return fail(number, std::move(status));
  }
  completion.bytes = std::move(read.bytes);
  finish(number, std::move(completion));
}

void TierWorker::onValue(uint64_t number, Operation& operation, PayloadRead read) {
  if (read.length != operation.info.bytes) {
    return fail(number, Status(ErrorCode::kCorrupt, "stored value is shorter than it was"));
  }
  ChunkCompletion completion;
  completion.tier = read.tier;
  completion.bytes = std::move(read.bytes);
  completion.bytes.resizeWithin(read.length);
  finish(number, std::move(completion));
}

void TierWorker::finish(uint64_t number, ChunkCompletion completion) {
  const auto found = operations_.find(number);
  Operation operation = std::move(found->second);
  operations_.erase(found);
  completion.cookie = operation.request.cookie;
  completion.bytesRead = operation.bytesRead;
  if (completion.status.ok() && operation.request.kind != Kind::kRemove) {
    completion.info = std::move(operation.info);
  }
  if (isRead(operation.request.kind)) {
    ++(completion.status.ok() ? counters_.hits : counters_.misses);
    if (completion.status.ok() && completion.tier == Tier::kMemory) {
      ++counters_.memoryHits;
      counters_.memoryServedBytes += completion.bytes.size();
    }
  }
  if (operation.request.queue != nullptr) operation.request.queue->push(std::move(completion));
  if (!operation.writing) return;
  const auto writers = writers_.find(operation.key);
  if (writers->second.empty()) {
    writers_.erase(writers);
    return;
  }
  const uint64_t next = writers->second.front();
  writers->second.pop_front();
  Operation& waiting = operations_.at(next);
  waiting.writing = true;
  beginWrite(next, waiting);
}

void TierWorker::fail(uint64_t number, Status status) {
  ChunkCompletion completion;
  completion.status = std::move(status);
  finish(number, std::move(completion));
}

}  // namespace spolia::tiers
