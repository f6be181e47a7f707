// Connection: the RPC system of one peer, with its limits and deadlines. Owned by the listener; one
// event loop.
#pragma once

#include <capnp/rpc-twoparty.h>
#include <kj/async-io.h>

#include "client/protocol/limited_stream.h"
#include "client/protocol/spolia.capnp.h"
#include "server/service/service_context.h"

namespace spolia::service {

class Connection {
 public:
  Connection(ServiceContext& service, kj::Own<kj::AsyncIoStream> socket);
  ~Connection();
  KJ_DISALLOW_COPY(Connection);

  // Resolves when the connection is over: the peer left or broke a rule, or did not authenticate in
  // time.
  kj::Promise<void> run();
  // Whether answers still wait to be written.
  bool writing() { return network_.getCurrentQueueCount() > 0; }

 private:
  protocol::StreamLimits streamLimits() const;

  ServiceContext& service_;
  Peer peer_;
  kj::Own<kj::AsyncIoStream> socket_;
  protocol::LimitedStream stream_;
  capnp::TwoPartyVatNetwork network_;
  kj::PromiseFulfillerPair<void> hangUp_;
  capnp::RpcSystem<capnp::rpc::twoparty::VatId> rpc_;
};

}  // namespace spolia::service
