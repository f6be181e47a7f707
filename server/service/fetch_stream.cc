#include "server/service/fetch_stream.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "client/protocol/errors.h"
#include "client/protocol/header_tag.h"
#include "client/protocol/wire_bytes.h"
#include "server/service/wire_out.h"

namespace spolia::service {
namespace {

// Enough to keep a disk of queue depth 64 busy from two calls; the bytes are bounded by the
// budgets.
constexpr size_t kReadAhead = 32;

Status late() {
  return {ErrorCode::kDeadlineExceeded, "not read by the deadline"};
}

codec::ChunkCompletion failed(Status status) {
  codec::ChunkCompletion completion;
  completion.status = std::move(status);
  return completion;
}

void writeAnswer(const codec::ChunkCompletion& data, uint64_t total, uint64_t tag, ByteSpan header,
                 protocol::FetchAnswer::Builder out) {
  if (data.status.code() == ErrorCode::kNotFound) return out.setAbsent();
  if (!data.status.ok()) return writeFailure(data.status, out.initFailed());
  out.setFound();
  out.setTotalBytes(total);
  out.setTier(static_cast<uint8_t>(data.tier));
  out.setBytesRead(data.bytesRead);
  writeInfo(data.info, out.initInfo());
  out.setHeaderTag(tag);
  if (!header.empty()) out.setHeader(protocol::dataOf(header));
  auto frames = out.initFrames(static_cast<uint32_t>(data.frames.size()));
  for (uint32_t i = 0; i < frames.size(); ++i) {
    frames[i].setIndex(data.frames[i].index);
    frames[i].setSize(data.frames[i].size);
  }
}

Status checkLayout(const codec::ChunkCompletion& data) {
  if (data.frames.size() > protocol::kMaxFramesInAnswer) {
    return {ErrorCode::kUnsupported, "more than 65536 frames asked for at a time"};
  }
  for (const codec::FrameSlice& frame : data.frames) {
    if (uint64_t{frame.offset} + frame.size > data.bytes.size()) {
      return {ErrorCode::kInternal, "frames end behind their buffer"};
    }
  }
  return {};
}

// A chunk that is asked for as a value is still a chunk.
Status mayHaveWhole(const SessionState& session, const codec::ChunkCompletion& data) {
  if (data.info.kind != codec::EntryKind::kChunk) return {};
  SPOLIA_RETURN_IF_ERROR(session.mayUseChunks());
  SPOLIA_ASSIGN_OR_RETURN(const auto header, codec::parseHeader(data.bytes.span()));
  return session.checkModel(header.identity.fingerprint);
}

}  // namespace

FetchStream::FetchStream(const Config& config, std::vector<FetchAsk> asks,
                         protocol::FetchSink::Client sink)
    : config_(config), asks_(std::move(asks)), sink_(kj::mv(sink)) {}

kj::Promise<void> FetchStream::run() {
  if (sent_ == asks_.size()) return sink_.doneRequest().send().ignoreResult();
  readAhead();
  return sendNext().then([this] { return run(); });
}

void FetchStream::readAhead() {
  while (begun_ < asks_.size() && ahead_.size() < kReadAhead) {
    ahead_.push_back(read(asks_[begun_++]).eagerlyEvaluate(nullptr));
  }
}

kj::Own<FetchStream::Read> FetchStream::missed(Status status) {
  auto read = kj::heap<Read>();
  read->data = failed(std::move(status));
  return read;
}

kj::Duration FetchStream::left() const {
  return (config_.deadline - std::chrono::steady_clock::now()).count() * kj::NANOSECONDS;
}

kj::Promise<HeldBytes> FetchStream::hold(uint64_t bytes) {
  auto held = holdBytes(config_.service, config_.peer, bytes);
  if (config_.deadline == kNoDeadline) return held;
  return held.exclusiveJoin(config_.service.timer.afterDelay(left()).then(
      []() -> kj::Promise<HeldBytes> { return protocol::toException(late()); }));
}

kj::Promise<kj::Own<FetchStream::Read>> FetchStream::read(const FetchAsk& ask) {
  if (left() <= 0 * kj::NANOSECONDS) return missed(late());
  auto entry = config_.service.calls.tiers().lookup(config_.session.ns, {&ask.id, 1});
  // A miss ends here: it holds nothing and touches no disk.
  if (!entry[0].ok()) return missed(entry[0].status());
  return hold(entry[0]->bytes)
      .then(
          [this, &ask](HeldBytes held) {
            TierCalls& calls = config_.service.calls;
            auto answer =
                ask.what == FetchAsk::What::kValue
                    ? calls.getValue(config_.session.ns, ask.id, config_.deadline)
                    : calls.fetch(config_.session.ns, ask.id, ask.range, config_.deadline);
            return answer.then(
                [this, &ask, held = kj::mv(held)](
                    codec::ChunkCompletion data) mutable -> kj::Promise<kj::Own<Read>> {
                  auto read = kj::heap<Read>();
                  read->held = kj::mv(held);
                  read->data = std::move(data);
                  if (!read->data.status.ok()) return kj::mv(read);
                  if (ask.what == FetchAsk::What::kFrames) return addHeader(ask, kj::mv(read));
                  Status allowed = mayHaveWhole(config_.session, read->data);
                  if (!allowed.ok()) read->data = failed(std::move(allowed));
                  return kj::mv(read);
                });
          },
          [](kj::Exception&& e) -> kj::Promise<kj::Own<Read>> {
            return missed(protocol::toStatus(e));
          });
}

kj::Promise<kj::Own<FetchStream::Read>> FetchStream::addHeader(const FetchAsk& ask,
                                                               kj::Own<Read> read) {
  Status wrong = config_.session.checkModel(read->data.header->identity.fingerprint);
  if (wrong.ok()) wrong = checkLayout(read->data);
  if (!wrong.ok()) {
    read->data = failed(std::move(wrong));
    return kj::mv(read);
  }
  read->tag = protocol::headerTag(*read->data.header);
  if (read->tag == ask.knownHeader) return kj::mv(read);
  return config_.service.calls.open(config_.session.ns, ask.id, config_.deadline)
      .then([read = kj::mv(read)](codec::ChunkCompletion open) mutable {
        if (!open.status.ok()) {
          read->data = failed(std::move(open.status));
        } else if (protocol::headerTag(*open.header) != read->tag) {
          read->data = failed({ErrorCode::kUnavailable, "replaced while it was read; ask again"});
        } else if (open.bytes.size() > protocol::kMaxHeaderOnWire) {
          read->data = failed({ErrorCode::kUnsupported, "the header is larger than 2 MiB"});
        } else {
          read->header = std::move(open.bytes);
        }
        return kj::mv(read);
      });
}

// The medium is read in blocks, so what is wanted lies in the buffer with other bytes between.
void FetchStream::cutUp(Read& read, FetchAsk::What what) {
  const ByteSpan all = read.data.bytes.span();
  if (!read.data.status.ok()) return;
  if (what == FetchAsk::What::kValue) read.pieces.push_back(all);
  for (const codec::FrameSlice& frame : read.data.frames) {
    read.pieces.push_back(all.subspan(frame.offset, frame.size));
  }
  for (ByteSpan piece : read.pieces) read.total += piece.size();
}

void FetchStream::copyNext(Read& read, kj::ArrayPtr<kj::byte> out) {
  kj::byte* to = out.begin();
  while (to < out.end()) {
    const ByteSpan rest = read.pieces[read.piece].subspan(read.offset);
    const size_t count = std::min(rest.size(), static_cast<size_t>(out.end() - to));
    if (count > 0) std::memcpy(to, rest.data(), count);
    to += count;
    read.offset += count;
    if (count == rest.size()) {
      ++read.piece;
      read.offset = 0;
    }
  }
}

kj::Promise<void> FetchStream::sendNext() {
  auto first = kj::mv(ahead_.front());
  ahead_.pop_front();
  return first.then([this](kj::Own<Read> read) {
    readAhead();
    const uint32_t spec = sent_++;
    cutUp(*read, asks_[spec].what);
    return send(spec, kj::mv(read), true);
  });
}

kj::Promise<void> FetchStream::send(uint32_t spec, kj::Own<Read> read, bool first) {
  const size_t count = std::min<size_t>(read->total, protocol::kSliceBytes);
  uint64_t words = count / 8 + 64;
  if (first) words += read->header.size() / 8 + read->data.frames.size();
  auto request = sink_.partRequest(capnp::MessageSize{words, 0});
  auto part = request.initPart();
  part.setSpec(spec);
  if (first) {
    writeAnswer(read->data, read->total, read->tag, read->header.span(), part.initAnswer());
  }
  copyNext(*read, part.initData(static_cast<uint32_t>(count)));
  read->total -= count;
  const bool last = read->total == 0;
  part.setLast(last);
  auto taken = request.send();
  if (last) return taken.attach(kj::mv(read));
  return taken.then(
      [this, spec, read = kj::mv(read)]() mutable { return send(spec, kj::mv(read), false); });
}

}  // namespace spolia::service
