// What the parts of the service share: the tiers, the limits, who is let in, and what is known of a
// connection and of a session. Built by main, outlives every connection; one event loop.
#pragma once

#include <kj/async.h>
#include <kj/timer.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "client/protocol/byte_budget.h"
#include "client/protocol/limited_stream.h"
#include "server/service/access.h"
#include "server/service/model_registry.h"
#include "server/service/tier_calls.h"

namespace spolia::service {

struct ServiceLimits {
  uint32_t connections = 256;
  // Payload held in memory (reads being streamed, uploads not committed), per connection and in
  // all.
  uint64_t connectionBytes = 256u << 20;
  uint64_t totalBytes = 1u << 30;
  // RPC messages being received, all connections together.
  uint64_t messageBytes = 256u << 20;
  uint32_t callsInFlight = protocol::kMaxCallsInFlight;  // per connection
  uint32_t handshakeSeconds = 10;
  uint32_t messageSeconds = 30;  // from a message's first byte to its last
  uint32_t stallSeconds = 30;    // a reader that does not read, an upload that does not go on
  uint32_t drainSeconds = 10;    // for calls under way when the server is told to stop
};

struct ServiceContext {
  ServiceContext(TierCalls& tierCalls, kj::Timer& clock, const ServiceLimits& serviceLimits)
      : calls(tierCalls),
        timer(clock),
        limits(serviceLimits),
        payloadBudget(serviceLimits.totalBytes),
        messageBudget(serviceLimits.messageBytes),
        started(clock.now()) {}

  TierCalls& calls;
  kj::Timer& timer;
  const ServiceLimits limits;
  std::optional<TokenFile> tokens;  // none: everybody may do everything
  ServerSecret secret{};
  std::map<store::OwnerTag, std::string> tenants;  // those known by name
  std::optional<ModelRegistry> models;
  uint64_t epoch = 0;
  std::string version;
  protocol::ByteBudget payloadBudget;
  protocol::ByteBudget messageBudget;
  kj::TimePoint started;
  uint32_t connections = 0;
  uint32_t callsInFlight = 0;
  bool draining = false;
  std::function<void()> onIdle;  // called when the last call ends; may be empty
};

// One connection.
struct Peer {
  explicit Peer(const ServiceLimits& limits) : budget(limits.connectionBytes) {}
  protocol::ByteBudget budget;
  std::string name;
  uint32_t callsInFlight = 0;
  uint32_t authFailures = 0;
  bool authenticated = false;
};

// What a session may see.
struct SessionState {
  tiers::Namespace ns;
  uint32_t rights = 0;
  std::optional<ModelFingerprint> fingerprint;
  std::string model;

  // kPermissionDenied unless the session has a model or may do without.
  Status mayUseChunks() const;
  // kInvalidArgument for another model's chunk.
  Status checkModel(const ModelFingerprint& ofChunk) const;
};

// Payload bytes that a call holds.
struct HeldBytes {
  protocol::ByteBudget::Reservation ofPeer;
  protocol::ByteBudget::Reservation ofAll;
};

// Resolves when both budgets have room.
kj::Promise<HeldBytes> holdBytes(ServiceContext& service, Peer& peer, uint64_t bytes);

}  // namespace spolia::service
