#include "client/server_connection.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <utility>

#include "client/protocol/errors.h"
#include "client/protocol/wire_bytes.h"

namespace spolia::client {
namespace {

// Messages received and not yet consumed.
constexpr size_t kMessageBudget = 512u << 20;

protocol::Spolia::Client bootstrap(capnp::RpcSystem<capnp::rpc::twoparty::VatId>& rpc) {
  capnp::MallocMessageBuilder message(8);
  auto vat = message.getRoot<capnp::rpc::twoparty::VatId>();
  vat.setSide(capnp::rpc::twoparty::Side::SERVER);
  return rpc.bootstrap(vat).castAs<protocol::Spolia>();
}

void writeModel(const ModelName& model, protocol::ModelHello::Builder out) {
  out.setName(protocol::textReader(model.name));
  out.setWeights(protocol::dataOf(model.descriptor.weights.span()));
  out.setAdapter(protocol::dataOf(model.descriptor.adapter.span()));
  out.setConfig(protocol::dataOf(model.descriptor.config.span()));
  out.setTokenizer(protocol::dataOf(model.descriptor.tokenizer.span()));
  out.setRope(protocol::dataOf(model.descriptor.rope.span()));
  out.setNumerics(protocol::textReader(model.descriptor.numerics));
}

}  // namespace

ServerConnection::ServerConnection(kj::Timer& timer, kj::Own<kj::AsyncIoStream> socket)
    : budget_(kMessageBudget),
      socket_(kj::mv(socket)),
      stream_(*socket_, timer, budget_, protocol::StreamLimits{}),
      network_(stream_, capnp::rpc::twoparty::Side::CLIENT,
               protocol::readerOptions(protocol::kMaxMessageBytes)),
      rpc_(capnp::makeRpcClient(network_)) {}

kj::Promise<kj::Own<ServerConnection>> ServerConnection::open(kj::Network& network,
                                                              kj::Timer& timer,
                                                              const ServerAddress& address,
                                                              const ClientConfig& config) {
  const std::string name = address.isUnix() ? "unix:" + address.path : address.host;
  const bool tcp = !address.isUnix();
  auto opened = network.parseAddress(name.c_str(), address.port)
                    .then([](kj::Own<kj::NetworkAddress> peer) {
                      auto connecting = peer->connect();
                      return connecting.attach(kj::mv(peer));
                    })
                    .then([&timer, &config, tcp](kj::Own<kj::AsyncIoStream> socket) {
                      const int on = 1;
                      if (tcp) socket->setsockopt(IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
                      auto connection = kj::refcounted<ServerConnection>(timer, kj::mv(socket));
                      auto ready = connection->authenticate(config);
                      return ready.then([connection = kj::mv(connection)]() mutable {
                        return kj::mv(connection);
                      });
                    });
  const auto time = config.connectTimeout.count() * kj::MILLISECONDS;
  return protocol::withDeadline(timer, time, kj::mv(opened), kj::Exception::Type::DISCONNECTED,
                                "no answer within the time to connect")
      .catch_([text = address.text()](kj::Exception&& e) -> kj::Promise<kj::Own<ServerConnection>> {
        Status status = protocol::toStatus(e);
        // Whatever the network says (refused, no such file, no route): not there now.
        if (status.code() == ErrorCode::kInternal) {
          status = Status(ErrorCode::kUnavailable, status.message());
        }
        return protocol::toException(status.withContext(text));
      });
}

kj::Promise<void> ServerConnection::authenticate(const ClientConfig& config) {
  auto request = bootstrap(rpc_).authenticateRequest();
  request.setToken(protocol::textReader(config.token));
  request.setProtocolVersion(protocol::kProtocolVersion);
  if (config.model) writeModel(*config.model, request.initModel());
  return request.send().then([this, &config](auto response) {
    session_ = response.getSession();
    if (!config.salt.empty()) {
      auto salted = response.getSession().saltedRequest();
      salted.setSalt(protocol::dataOf(asBytes(config.salt)));
      session_ = salted.send().getSession();
    }
    epoch_ = response.getEpoch();
    serverVersion_ = protocol::textOf(response.getServerVersion());
  });
}

protocol::Session::Client ServerConnection::session() {
  return KJ_ASSERT_NONNULL(session_);
}

void ServerConnection::abandon() {
  // A socket that is broken already cannot be shut down any more, which is as good.
  kj::runCatchingExceptions([this] { socket_->abortRead(); });
}

}  // namespace spolia::client
