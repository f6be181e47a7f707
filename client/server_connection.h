// ServerConnection: one authenticated connection to a server. Shared by the calls that run on it
// and by the Client, which replaces it when it breaks. One event loop.
#pragma once

#include <capnp/rpc-twoparty.h>
#include <kj/async-io.h>
#include <kj/refcount.h>

#include "client/address.h"
#include "client/client_config.h"
#include "client/protocol/limited_stream.h"
#include "client/protocol/spolia.capnp.h"

namespace spolia::client {

class ServerConnection final : public kj::Refcounted {
 public:
  // Connects and authenticates within the config's connect timeout; fails with an exception that
  // protocol::toStatus reads (kUnavailable, kPermissionDenied, kInvalidArgument for the model).
  static kj::Promise<kj::Own<ServerConnection>> open(kj::Network& network, kj::Timer& timer,
                                                     const ServerAddress& address,
                                                     const ClientConfig& config);

  ServerConnection(kj::Timer& timer, kj::Own<kj::AsyncIoStream> socket);

  kj::Own<ServerConnection> addRef() { return kj::addRef(*this); }
  protocol::Session::Client session();
  uint64_t epoch() const { return epoch_; }
  const std::string& serverVersion() const { return serverVersion_; }
  kj::TimePoint lastReceived() const { return stream_.lastReceived(); }
  // Makes every call on it fail at once.
  void abandon();
  // Whether a call ran on it before; a first call's failure is not the fault of an old connection.
  bool used = false;

 private:
  kj::Promise<void> authenticate(const ClientConfig& config);

  protocol::ByteBudget budget_;
  kj::Own<kj::AsyncIoStream> socket_;
  protocol::LimitedStream stream_;
  capnp::TwoPartyVatNetwork network_;
  capnp::RpcSystem<capnp::rpc::twoparty::VatId> rpc_;
  kj::Maybe<protocol::Session::Client> session_;
  uint64_t epoch_ = 0;
  std::string serverVersion_;
};

}  // namespace spolia::client
