// UploadWriter: a Writer of the protocol. Collects a stream or a value in memory and hands it to
// the tiers at commit; dropped before, it leaves nothing. One event loop; owned by the connection
// that it was given to.
#pragma once

#include <optional>

#include "client/protocol/spolia.capnp.h"
#include "server/service/service_context.h"

namespace spolia::service {

class UploadWriter final : public protocol::Writer::Server {
 public:
  struct Config {
    ServiceContext& service;
    SessionState session;
    uint64_t size = 0;
    HeldBytes held;
    codec::PutOptions put = codec::PutMode::kIfAbsent;
    std::optional<tiers::ValuePut> value;  // none: a chunk's stream
  };
  explicit UploadWriter(Config config);

 protected:
  kj::Promise<void> write(WriteContext context) override;
  kj::Promise<void> commit(CommitContext context) override;

 private:
  // Fails the upload for good, with the memory given back.
  kj::Promise<void> fail(Status status);
  Status checkHeader();
  kj::Promise<void> watch();

  Config config_;
  AlignedBuffer bytes_;
  uint64_t received_ = 0;
  bool headerChecked_ = false;
  bool committed_ = false;
  Status failure_;
  kj::TimePoint lastWrite_;
  kj::Promise<void> watching_;
};

}  // namespace spolia::service
