#include "server/service/spolia_service.h"

#include <spdlog/spdlog.h>

#include <utility>

#include "client/protocol/errors.h"
#include "client/protocol/wire_bytes.h"
#include "server/service/session_server.h"
#include "server/service/wire_out.h"

namespace spolia::service {
namespace {

using protocol::toException;

class SpoliaServer final : public protocol::Spolia::Server {
 public:
  SpoliaServer(ServiceContext& service, Peer& peer, std::function<void()> hangUp)
      : service_(service), peer_(peer), hangUp_(std::move(hangUp)) {}

 protected:
  kj::Promise<void> authenticate(AuthenticateContext context) override {
    const auto params = context.getParams();
    if (service_.draining) {
      return toException({ErrorCode::kUnavailable, "the server is shutting down"});
    }
    if (params.getProtocolVersion() != protocol::kProtocolVersion) {
      return toException({ErrorCode::kUnsupported, "protocol version " +
                                                       std::to_string(params.getProtocolVersion()) +
                                                       ", this server speaks " +
                                                       std::to_string(protocol::kProtocolVersion)});
    }
    auto grant = checkToken(params.getToken());
    if (!grant.ok()) return toException(grant.status());
    SessionState state;
    state.ns = namespaceOf(service_.secret, grant->tenant);
    state.rights = grant->rights;
    if (params.hasModel()) {
      if (Status agreed = agreeOnModel(params.getModel(), state); !agreed.ok()) {
        return toException(agreed);
      }
    }
    peer_.authenticated = true;
    auto results = context.getResults();
    results.setEpoch(service_.epoch);
    results.setProtocolVersion(protocol::kProtocolVersion);
    results.setRights(grant->rights);
    results.setTenant(protocol::textReader(grant->tenant));
    results.setServerVersion(protocol::textReader(service_.version));
    results.setSession(makeSession(service_, peer_, std::move(state)));
    return kj::READY_NOW;
  }

 private:
  Result<Grant> checkToken(capnp::Text::Reader token) {
    if (!service_.tokens) return Grant{kOnlyTenant, kAllRights};
    std::optional<Grant> grant;
    if (token.size() <= protocol::kMaxTokenBytes) {
      grant = service_.tokens->find({token.begin(), token.size()});
    }
    if (grant) return *grant;
    if (++peer_.authFailures >= protocol::kMaxAuthFailures) hangUp_();
    spdlog::warn("{}: refused, unknown token", peer_.name);
    if (token.size() == 0) {
      return Status(ErrorCode::kPermissionDenied, "this server expects a token");
    }
    return Status(ErrorCode::kPermissionDenied, "unknown token");
  }

  Status agreeOnModel(protocol::ModelHello::Reader hello, SessionState& state) {
    SPOLIA_ASSIGN_OR_RETURN(const codec::ModelDescriptor model, descriptorOf(hello));
    state.model = protocol::textOf(hello.getName());
    const auto ifNew = (state.rights & kWriteRight) != 0 ? ModelRegistry::IfNew::kRegister
                                                         : ModelRegistry::IfNew::kRefuse;
    SPOLIA_ASSIGN_OR_RETURN(state.fingerprint,
                            service_.models->agree(state.ns.name, state.model, model, ifNew));
    return {};
  }

  ServiceContext& service_;
  Peer& peer_;
  const std::function<void()> hangUp_;
};

}  // namespace

protocol::Spolia::Client makeSpolia(ServiceContext& service, Peer& peer,
                                    std::function<void()> hangUp) {
  return kj::heap<SpoliaServer>(service, peer, std::move(hangUp));
}

}  // namespace spolia::service
