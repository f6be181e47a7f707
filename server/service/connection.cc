#include "server/service/connection.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "server/service/spolia_service.h"

namespace spolia::service {
namespace {

// Bytes of calls that have no answer yet; beyond it the connection is not read. Several uploads'
// windows fit.
constexpr size_t kFlowLimitBytes = 64u << 20;

std::string nameOf(kj::AsyncIoStream& socket) {
  sockaddr_storage address{};
  kj::uint length = sizeof address;
  socket.getpeername(reinterpret_cast<sockaddr*>(&address), &length);
  if (address.ss_family != AF_INET && address.ss_family != AF_INET6) return "unix socket";
  const int on = 1;
  socket.setsockopt(IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  socket.setsockopt(SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  char host[NI_MAXHOST], port[NI_MAXSERV];
  if (::getnameinfo(reinterpret_cast<sockaddr*>(&address), length, host, sizeof host, port,
                    sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return "tcp";
  }
  return std::string(host).append(":").append(port);
}

}  // namespace

Connection::Connection(ServiceContext& service, kj::Own<kj::AsyncIoStream> socket)
    : service_(service),
      peer_(service.limits),
      socket_(kj::mv(socket)),
      stream_(*socket_, service.timer, service.messageBudget, streamLimits()),
      network_(stream_, capnp::rpc::twoparty::Side::SERVER,
               protocol::readerOptions(protocol::kMaxMessageBytes)),
      hangUp_(kj::newPromiseAndFulfiller<void>()),
      rpc_(capnp::makeRpcServer(
          network_, makeSpolia(service, peer_, [this] { hangUp_.fulfiller->fulfill(); }))) {
  peer_.name = nameOf(*socket_);
  rpc_.setFlowLimit(kFlowLimitBytes / sizeof(capnp::word));
  ++service_.connections;
}

Connection::~Connection() {
  --service_.connections;
}

protocol::StreamLimits Connection::streamLimits() const {
  protocol::StreamLimits limits;
  limits.messageTime = service_.limits.messageSeconds * kj::SECONDS;
  limits.writeStall = service_.limits.stallSeconds * kj::SECONDS;
  return limits;
}

kj::Promise<void> Connection::run() {
  kj::Timer& timer = service_.timer;
  auto handshake = timer.afterDelay(service_.limits.handshakeSeconds * kj::SECONDS)
                       .then([this]() -> kj::Promise<void> {
                         if (peer_.authenticated) return kj::NEVER_DONE;
                         return kj::READY_NOW;
                       });
  // A moment for the refusal to leave before the door closes.
  auto sentAway = hangUp_.promise.then([&timer] { return timer.afterDelay(1 * kj::SECONDS); });
  return network_.onDisconnect().exclusiveJoin(kj::mv(handshake)).exclusiveJoin(kj::mv(sentAway));
}

}  // namespace spolia::service
