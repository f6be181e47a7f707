#include "client/fetch_job.h"

#include <cstring>
#include <optional>
#include <utility>

#include "client/header_cache.h"
#include "client/protocol/errors.h"
#include "client/protocol/header_tag.h"
#include "client/protocol/limits.h"
#include "client/protocol/wire_bytes.h"
#include "client/wire_in.h"

namespace spolia::client {
namespace {

Status broken(const char* what) {
  return {ErrorCode::kCorrupt, std::string("the server's answer: ") + what};
}

class Sink final : public protocol::FetchSink::Server {
 public:
  Sink(std::shared_ptr<FetchJob> job, std::vector<size_t> specs, SinkOf what)
      : job_(std::move(job)), specs_(std::move(specs)), what_(what) {}

 protected:
  kj::Promise<void> part(PartContext context) override {
    const auto part = context.getParams().getPart();
    const uint32_t spec = part.getSpec();
    if (spec >= specs_.size()) return protocol::toException(broken("a part of no spec of ours"));
    if (part.hasAnswer()) {
      now_.emplace();
      spec_ = spec;
      if (Status begun = begin(part.getAnswer()); !begun.ok()) now_->status = std::move(begun);
    }
    if (!now_ || spec != spec_) return protocol::toException(broken("parts out of order"));
    append(protocol::bytesOf(part.getData()));
    if (part.getLast()) finish();
    return kj::READY_NOW;
  }
  kj::Promise<void> done(DoneContext) override { return kj::READY_NOW; }

 private:
  const ChunkId& id() const { return job_->item(specs_[spec_]).id; }

  Status begin(protocol::FetchAnswer::Reader answer) {
    filled_ = 0;
    switch (answer.which()) {
      case protocol::FetchAnswer::ABSENT:
        return {ErrorCode::kNotFound, "no such entry"};
      case protocol::FetchAnswer::FAILED:
        return readFailure(answer.getFailed());
      case protocol::FetchAnswer::FOUND:
        break;
    }
    if (answer.getTotalBytes() > protocol::kMaxStreamBytes) return broken("longer than any may be");
    now_->tier = static_cast<codec::Tier>(answer.getTier());
    now_->bytesRead = answer.getBytesRead();
    now_->bytes = AlignedBuffer(answer.getTotalBytes());
    if (what_ == SinkOf::kFrames) return beginFrames(answer);
    SPOLIA_ASSIGN_OR_RETURN(now_->info, readInfo(answer.getInfo()));
    return {};
  }

  Status beginFrames(protocol::FetchAnswer::Reader answer) {
    HeaderCache& headers = job_->headers();
    if (answer.getHeader().size() > 0) {
      SPOLIA_ASSIGN_OR_RETURN(auto header,
                              codec::parseHeader(protocol::bytesOf(answer.getHeader())));
      if (header.chunkId != id()) return broken("another chunk's header");
      headers.put(id(), std::make_shared<const codec::StreamHeader>(std::move(header)));
    }
    now_->header = headers.find(id());
    if (now_->header == nullptr || protocol::headerTag(*now_->header) != answer.getHeaderTag()) {
      headers.erase(id());
      return {ErrorCode::kUnavailable, "the header went while the chunk was read; ask again"};
    }
    uint64_t at = 0;
    for (auto frame : answer.getFrames()) {
      if (frame.getIndex() >= now_->header->frames.size()) return broken("no such frame");
      now_->frames.push_back({frame.getIndex(), static_cast<uint32_t>(at), frame.getSize()});
      at += frame.getSize();
    }
    return at == answer.getTotalBytes() ? Status() : broken("frames and bytes differ");
  }

  void append(ByteSpan data) {
    if (!now_->status.ok()) return;
    if (data.size() > now_->bytes.size() - filled_) {
      now_->status = broken("more bytes than announced");
      return;
    }
    if (!data.empty()) std::memcpy(now_->bytes.data() + filled_, data.data(), data.size());
    filled_ += data.size();
  }

  void finish() {
    if (now_->status.ok() && filled_ != now_->bytes.size()) {
      now_->status = broken("fewer bytes than announced");
    }
    if (!now_->status.ok()) {
      now_->frames.clear();
      now_->bytes = {};
    }
    job_->answer(specs_[spec_], std::move(*now_));
    now_.reset();
  }

  const std::shared_ptr<FetchJob> job_;
  const std::vector<size_t> specs_;
  const SinkOf what_;
  // The spec whose parts are coming in.
  std::optional<codec::ChunkCompletion> now_;
  uint32_t spec_ = 0;
  size_t filled_ = 0;
};

}  // namespace

FetchJob::FetchJob(std::vector<FetchItem> items, HeaderCache& headers)
    : items_(std::move(items)), answered_(items_.size(), false), headers_(headers) {}

FetchJob::~FetchJob() {
  fail({ErrorCode::kCancelled, "the client is closing"});
}

std::vector<size_t> FetchJob::open() const {
  std::vector<size_t> out;
  for (size_t i = 0; i < items_.size(); ++i) {
    if (!answered_[i]) out.push_back(i);
  }
  return out;
}

void FetchJob::answer(size_t index, codec::ChunkCompletion completion) {
  // A connection given up on may still deliver what was asked again elsewhere.
  if (answered_[index]) return;
  answered_[index] = true;
  items_[index].done(std::move(completion));
}

void FetchJob::fail(const Status& status) {
  for (size_t index : open()) {
    codec::ChunkCompletion completion;
    completion.status = status;
    answer(index, std::move(completion));
  }
}

protocol::FetchSink::Client makeSink(std::shared_ptr<FetchJob> job, std::vector<size_t> specs,
                                     SinkOf what) {
  return kj::heap<Sink>(std::move(job), std::move(specs), what);
}

}  // namespace spolia::client
