// LeaseServer: a Lease of the protocol. Ends the lease when the client drops it, or when its
// connection goes, with all that was had through it. One event loop; owned by the connection.
#pragma once

#include "client/protocol/spolia.capnp.h"
#include "server/service/service_context.h"

namespace spolia::service {

class LeaseServer final : public protocol::Lease::Server {
 public:
  // Takes over the lease. Fetches go through `session`.
  LeaseServer(ServiceContext& service, protocol::Session::Client session, store::LeaseId id);
  ~LeaseServer();
  KJ_DISALLOW_COPY(LeaseServer);

 protected:
  kj::Promise<void> fetch(FetchContext context) override;
  kj::Promise<void> renew(RenewContext context) override;

 private:
  ServiceContext& service_;
  protocol::Session::Client session_;
  const store::LeaseId id_;
};

}  // namespace spolia::service
