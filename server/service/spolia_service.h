// The protocol (client/protocol/spolia.capnp) over the tiers; no policy here. One bootstrap object
// for each connection. One event loop; the context and the peer outlive it.
#pragma once

#include <functional>

#include "client/protocol/spolia.capnp.h"
#include "server/service/service_context.h"

namespace spolia::service {

// A connection's first object. `hangUp` is called when the connection is to be closed.
protocol::Spolia::Client makeSpolia(ServiceContext& service, Peer& peer,
                                    std::function<void()> hangUp);

}  // namespace spolia::service
