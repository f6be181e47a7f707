#include "server/service/upload_writer.h"

#include <cstring>
#include <utility>

#include "client/protocol/errors.h"
#include "client/protocol/wire_bytes.h"
#include "server/service/wire_out.h"

namespace spolia::service {

UploadWriter::UploadWriter(Config config)
    : config_(kj::mv(config)),
      bytes_(config_.size),
      lastWrite_(config_.service.timer.now()),
      watching_(watch().eagerlyEvaluate([](kj::Exception&&) {})) {}

kj::Promise<void> UploadWriter::watch() {
  const auto stall = config_.service.limits.stallSeconds * kj::SECONDS;
  return config_.service.timer.atTime(lastWrite_ + stall)
      .then([this, stall]() -> kj::Promise<void> {
        if (committed_ || !failure_.ok()) return kj::READY_NOW;
        if (config_.service.timer.now() < lastWrite_ + stall) return watch();
        return fail({ErrorCode::kDeadlineExceeded, "the upload did not go on; it was discarded"})
            .catch_([](kj::Exception&&) {});
      });
}

kj::Promise<void> UploadWriter::fail(Status status) {
  failure_ = std::move(status);
  bytes_ = {};
  config_.held = {};
  return protocol::toException(failure_);
}

kj::Promise<void> UploadWriter::write(WriteContext context) {
  if (!failure_.ok()) return protocol::toException(failure_);
  if (committed_) return fail({ErrorCode::kInvalidArgument, "write after commit"});
  const ByteSpan data = protocol::bytesOf(context.getParams().getData());
  if (data.size() > config_.size - received_) {
    return fail({ErrorCode::kInvalidArgument,
                 "more bytes than the declared size of " + std::to_string(config_.size)});
  }
  if (!data.empty()) std::memcpy(bytes_.data() + received_, data.data(), data.size());
  received_ += data.size();
  lastWrite_ = config_.service.timer.now();
  if (!config_.value && !headerChecked_) {
    if (Status checked = checkHeader(); !checked.ok()) return fail(std::move(checked));
  }
  return kj::READY_NOW;
}

Status UploadWriter::checkHeader() {
  const ByteSpan so = bytes_.span().first(received_);
  if (so.size() < codec::kHeaderPrefixBytes) return {};
  SPOLIA_ASSIGN_OR_RETURN(const uint32_t length, codec::headerLength(so));
  if (so.size() < length) return {};
  SPOLIA_ASSIGN_OR_RETURN(const codec::StreamHeader header, codec::parseHeader(so));
  headerChecked_ = true;
  if (header.streamBytes != config_.size) {
    return {ErrorCode::kInvalidArgument,
            "the header tells of a stream of " + std::to_string(header.streamBytes) +
                " bytes, declared were " + std::to_string(config_.size)};
  }
  return config_.session.checkModel(header.identity.fingerprint);
}

kj::Promise<void> UploadWriter::commit(CommitContext context) {
  if (!failure_.ok()) return protocol::toException(failure_);
  if (committed_) return fail({ErrorCode::kInvalidArgument, "commit twice"});
  if (received_ != config_.size) {
    return fail({ErrorCode::kInvalidArgument, "commit after " + std::to_string(received_) +
                                                  " of the declared " +
                                                  std::to_string(config_.size) + " bytes"});
  }
  if (!config_.value && !headerChecked_) {
    return fail({ErrorCode::kCorrupt, "the stream ends inside its header"});
  }
  committed_ = true;
  auto answer = kj::Promise<codec::ChunkCompletion>(nullptr);
  TierCalls& calls = config_.service.calls;
  if (config_.value) {
    config_.value->bytes = std::move(bytes_);
    answer = calls.putValue(config_.session.ns, std::move(*config_.value));
  } else {
    answer = calls.store(config_.session.ns, std::move(bytes_), config_.put);
  }
  ++config_.service.callsInFlight;
  return answer
      .then([this, context](codec::ChunkCompletion done) mutable -> kj::Promise<void> {
        config_.held = {};
        if (!done.status.ok()) return fail(std::move(done.status));
        auto results = context.getResults();
        results.setOutcome(wireOutcome(done.outcome));
        writeInfo(done.info, results.initInfo());
        return kj::READY_NOW;
      })
      .attach(kj::defer([&service = config_.service] {
        if (--service.callsInFlight == 0 && service.onIdle) service.onIdle();
      }));
}

}  // namespace spolia::service
