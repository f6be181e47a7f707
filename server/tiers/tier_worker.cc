#include "server/tiers/tier_worker.h"

#include <poll.h>

#include <algorithm>
#include <utility>

#include "codec/base/checksum.h"

namespace spolia::tiers {
namespace {

using codec::ChunkCompletion;
using codec::PutMode;
using codec::PutOutcome;
using codec::Tier;
using Kind = TierRequest::Kind;

constexpr uint64_t kParsedHeadersBytes = 32u << 20;
// The store's cookie: number of the operation, and which of its reads.
constexpr uint32_t kPartBits = 20;
constexpr uint64_t kPartMask = (uint64_t{1} << kPartBits) - 1;

bool isWrite(Kind kind) {
  return kind == Kind::kStore || kind == Kind::kPutValue || kind == Kind::kRemove;
}

// Presets are numbered from the finest on.
bool finer(const codec::EntryInfo& candidate, const codec::EntryInfo& present) {
  if (candidate.preset != present.preset) return candidate.preset < present.preset;
  return candidate.levels > present.levels;
}

// The asked bytes alone, moved where they start the buffer already.
AlignedBuffer takeRange(store::StoreCompletion& completion) {
  if (completion.dataOffset != 0) return AlignedBuffer::copyOf(completion.range());
  completion.data.resizeWithin(completion.dataLength);
  return std::move(completion.data);
}

}  // namespace

TierWorker::TierWorker(store::Store& store)
    : store_(store), headers_(kParsedHeadersBytes), thread_([this] { run(); }) {}

TierWorker::~TierWorker() {
  requests_.push({});
  thread_.join();
}

void TierWorker::run() {
  pollfd queues[] = {{requests_.eventFd(), POLLIN, 0}, {stored_.eventFd(), POLLIN, 0}};
  while (!stopping_ || !operations_.empty()) {
    // An interrupted poll looks like an idle one: the queues are drained either way.
    static_cast<void>(::poll(queues, 2, -1));
    for (store::StoreCompletion& completion : stored_.drain()) onStore(std::move(completion));
    for (TierRequest& request : requests_.drain()) accept(std::move(request));
  }
}

void TierWorker::accept(TierRequest request) {
  if (request.kind == Kind::kStop) {
    stopping_ = true;
    return;
  }
  const uint64_t number = nextNumber_++;
  Operation& operation = operations_[number];
  operation.request = std::move(request);
  begin(number, operation);
}

void TierWorker::begin(uint64_t number, Operation& operation) {
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

void TierWorker::onStore(store::StoreCompletion completion) {
  const uint64_t number = completion.cookie >> kPartBits;
  const auto found = operations_.find(number);
  if (found == operations_.end()) return;
  Operation& operation = found->second;
  if (operation.writing) {
    onWritten(number, operation, std::move(completion));
    return;
  }
  operation.bytesRead += completion.bytesRead;
  if (operation.request.kind == Kind::kGetValue) {
    onValue(number, operation, std::move(completion));
  } else if (operation.readingHeader) {
    onHeader(number, operation, std::move(completion));
  } else {
    onRun(number, operation, completion.cookie & kPartMask, std::move(completion));
  }
}

void TierWorker::beginRead(uint64_t number, Operation& operation) {
  auto found = store_.find(operation.key);
  if (!found.ok()) return fail(number, found.status());
  if (!*found) return fail(number, Status(ErrorCode::kNotFound, "no such entry"));
  auto attributes = readAttributes((*found)->attributes);
  auto info = entryInfoOf(**found);
  if (!attributes.ok()) return fail(number, attributes.status());
  if (!info.ok()) return fail(number, info.status());
  operation.attributes = std::move(*attributes);
  operation.info = std::move(*info);
  const uint64_t cookie = number << kPartBits;
  if (operation.request.kind == Kind::kGetValue) {
    store_.submitGet(operation.key, 0, operation.info.bytes, cookie, stored_);
    return;
  }
  if (operation.info.kind != codec::EntryKind::kChunk) {
    return fail(number, Status(ErrorCode::kNotFound, "no such chunk; the id names another kind"));
  }
  operation.header = headers_.find(operation.key, operation.attributes.contentTag);
  if (operation.header != nullptr) return afterHeader(number, operation);
  operation.readingHeader = true;
  store_.submitGet(operation.key, 0, operation.attributes.headerBytes, cookie, stored_);
}

void TierWorker::onHeader(uint64_t number, Operation& operation,
                          store::StoreCompletion completion) {
  operation.readingHeader = false;
  if (!completion.status.ok()) return fail(number, std::move(completion.status));
  auto header = codec::parseHeader(completion.range());
  if (!header.ok() || header->chunkId != operation.request.id) {
    if (retryIfReplaced(number, operation)) return;
    return fail(number, header.ok() ? Status(ErrorCode::kCorrupt, "stored under another id")
                                    : header.status());
  }
  auto entry = std::make_shared<CachedHeader>();
  // From the bytes themselves: what was read may be newer than what the index said before.
  entry->contentTag = attributesOf(operation.request.ns, *header, completion.range()).contentTag;
  entry->raw = toBytes(completion.range().first(header->headerBytes));
  entry->header = std::make_shared<const codec::StreamHeader>(std::move(*header));
  headers_.insert(operation.key, entry);
  operation.header = std::move(entry);
  afterHeader(number, operation);
}

void TierWorker::afterHeader(uint64_t number, Operation& operation) {
  if (operation.request.kind == Kind::kFetch) return submitRuns(number, operation);
  ChunkCompletion completion;
  completion.header = operation.header->header;
  completion.bytes = AlignedBuffer::copyOf(operation.header->raw);
  completion.tier = Tier::kDisk;
  finish(number, std::move(completion));
}

void TierWorker::submitRuns(uint64_t number, Operation& operation) {
  const codec::StreamHeader& header = *operation.header->header;
  operation.frames = codec::coveringFrames(header, operation.request.range);
  operation.runs.clear();
  uint64_t total = 0;
  for (uint32_t index : operation.frames) {
    const codec::FrameEntry& frame = header.frames[index];
    total += frame.size;
    auto& runs = operation.runs;
    if (!runs.empty() && runs.back().offset + runs.back().length == frame.offset) {
      runs.back().length += frame.size;
    } else {
      runs.push_back({frame.offset, frame.size, {}});
    }
  }
  // Offsets of slices are 32 bits, and a read may begin up to a block before its range.
  if (total > UINT32_MAX / 2 || operation.runs.size() > kPartMask) {
    return fail(number, Status(ErrorCode::kResourceExhausted, "range: expected less at a time"));
  }
  operation.readsLeft = operation.runs.size();
  if (operation.runs.empty()) return finishFetch(number, operation);
  for (size_t i = 0; i < operation.runs.size(); ++i) {
    const Run& part = operation.runs[i];
    store_.submitGet(operation.key, part.offset, part.length, number << kPartBits | i, stored_);
  }
}

void TierWorker::onRun(uint64_t number, Operation& operation, size_t part,
                       store::StoreCompletion completion) {
  operation.runs[part].read = std::move(completion);
  if (--operation.readsLeft == 0) finishFetch(number, operation);
}

void TierWorker::finishFetch(uint64_t number, Operation& operation) {
  ChunkCompletion completion;
  completion.header = operation.header->header;
  completion.tier = Tier::kDisk;
  Status status;
  size_t next = 0;  // frame
  uint64_t total = 0;
  for (const Run& part : operation.runs) total += part.length;
  const bool single = operation.runs.size() == 1;
  if (!single) completion.bytes = AlignedBuffer(total);
  uint64_t at = 0;
  for (Run& part : operation.runs) {
    status = part.read.status;
    if (status.ok() && part.read.dataLength != part.length) {
      status = Status(ErrorCode::kCorrupt, "stored stream is shorter than its frame table says");
    }
    if (!status.ok()) break;
    uint64_t inBuffer = single ? part.read.dataOffset : at;
    const ByteSpan bytes = part.read.range();
    uint64_t inRun = 0;
    for (; inRun < part.length && next < operation.frames.size() && status.ok(); ++next) {
      const uint32_t index = operation.frames[next];
      const uint32_t size = completion.header->frames[index].size;
      status = codec::verifyFrame(*completion.header, {index, bytes.subspan(inRun, size)});
      completion.frames.push_back({index, static_cast<uint32_t>(inBuffer + inRun), size});
      inRun += size;
    }
    if (!single) std::copy(bytes.begin(), bytes.end(), completion.bytes.data() + at);
    at += part.length;
  }
  if (!status.ok()) {
    // Any failure may come from reading an entry that was just replaced with an old table.
    if (retryIfReplaced(number, operation)) return;
    return fail(number, std::move(status));
  }
  if (single) completion.bytes = std::move(operation.runs[0].read.data);
  finish(number, std::move(completion));
}

bool TierWorker::retryIfReplaced(uint64_t number, Operation& operation) {
  if (operation.retried) return false;
  auto found = store_.find(operation.key);
  if (!found.ok() || !*found) return false;
  const auto attributes = readAttributes((*found)->attributes);
  if (!attributes.ok() || attributes->contentTag == operation.attributes.contentTag) return false;
  operation.retried = true;
  operation.runs.clear();
  beginRead(number, operation);
  return true;
}

void TierWorker::onValue(uint64_t number, Operation& operation, store::StoreCompletion completion) {
  if (!completion.status.ok()) return fail(number, std::move(completion.status));
  // The entry may have been replaced since the index was asked.
  if (completion.meta) {
    auto info = entryInfoOf(*completion.meta);
    if (!info.ok()) return fail(number, info.status());
    operation.info = std::move(*info);
  }
  ChunkCompletion out;
  out.tier = Tier::kDisk;
  out.bytes = takeRange(completion);
  if (out.bytes.size() != operation.info.bytes) {
    if (retryIfReplaced(number, operation)) return;
    return fail(number, Status(ErrorCode::kCorrupt, "stored value is shorter than it was"));
  }
  finish(number, std::move(out));
}

Status TierWorker::prepareStore(Operation& operation) {
  TierRequest& request = operation.request;
  SPOLIA_ASSIGN_OR_RETURN(const codec::StreamHeader header,
                          codec::verifyStream(request.bytes.span()));
  request.id = header.chunkId;
  operation.attributes = attributesOf(request.ns, header, request.bytes.span());
  operation.info.id = header.chunkId;
  operation.info.kind = codec::EntryKind::kChunk;
  operation.info.bytes = request.bytes.size();
  operation.info.tokens = header.tokens();
  operation.info.preset = header.preset;
  operation.info.levels = header.levels;
  return {};
}

Status TierWorker::prepareValue(Operation& operation) {
  const TierRequest& request = operation.request;
  if (request.label.size() > kMaxLabelBytes) {
    return Status(ErrorCode::kInvalidArgument, "label: " + std::to_string(request.label.size()) +
                                                   " bytes, expected at most " +
                                                   std::to_string(kMaxLabelBytes));
  }
  if (request.entryKind == codec::EntryKind::kChunk) {
    return Status(ErrorCode::kInvalidArgument, "kind: chunks are stored as streams");
  }
  operation.attributes.ns = namespaceTagOf(request.ns);
  operation.attributes.id = request.id;
  operation.attributes.contentTag = xxh3(request.bytes.span());
  operation.attributes.label = request.label;
  operation.info.id = request.id;
  operation.info.kind = request.entryKind;
  operation.info.bytes = request.bytes.size();
  operation.info.label = request.label;
  return {};
}

bool TierWorker::claimKey(uint64_t number, Operation& operation) {
  const auto [place, first] = writers_.try_emplace(operation.key);
  operation.writing = first;
  if (!first) place->second.push_back(number);
  return first;
}

void TierWorker::beginWrite(uint64_t number, Operation& operation) {
  const uint64_t cookie = number << kPartBits;
  TierRequest& request = operation.request;
  if (request.kind == Kind::kRemove) {
    headers_.erase(operation.key);
    store_.submitRemove(operation.key, cookie, stored_);
    return;
  }
  auto found = store_.find(operation.key);
  if (!found.ok()) return fail(number, found.status());
  if (*found) {
    // An entry whose attributes cannot be read is worth less than the new one.
    const auto present = entryInfoOf(**found);
    const bool replace = !present.ok() || request.mode == PutMode::kReplace ||
                         (request.mode == PutMode::kIfFiner && finer(operation.info, *present));
    if (!replace) {
      const auto attributes = readAttributes((*found)->attributes);
      if (attributes->contentTag != operation.attributes.contentTag) ++counters_.differingPuts;
      operation.info = *present;
      ChunkCompletion completion;
      completion.outcome = PutOutcome::kExists;
      return finish(number, std::move(completion));
    }
    operation.outcome = PutOutcome::kReplaced;
  }
  store::PutRequest put;
  put.meta.key = operation.key;
  put.meta.kind = static_cast<uint8_t>(operation.info.kind);
  put.meta.payloadBytes = request.bytes.size();
  put.meta.expiresAt = request.expiresAt;
  put.meta.attributes = writeAttributes(operation.attributes);
  put.payload = std::move(request.bytes);
  put.policy = store::PutPolicy::kReplace;
  store_.submitPut(std::move(put), cookie, stored_);
}

void TierWorker::onWritten(uint64_t number, Operation& operation,
                           store::StoreCompletion completion) {
  if (!completion.status.ok()) return fail(number, std::move(completion.status));
  ChunkCompletion out;
  out.outcome = operation.outcome;
  finish(number, std::move(out));
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
  if (!isWrite(operation.request.kind)) {
    ++(completion.status.ok() ? counters_.hits : counters_.misses);
  }
  operation.request.queue->push(std::move(completion));
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
