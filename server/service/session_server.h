// A Session of the protocol: one tenant's view of the tiers. One event loop; owned by the
// connection that it was given to, which the context and the peer outlive.
#pragma once

#include "client/protocol/spolia.capnp.h"
#include "server/service/service_context.h"

namespace spolia::service {

protocol::Session::Client makeSession(ServiceContext& service, Peer& peer, SessionState state);

}  // namespace spolia::service
