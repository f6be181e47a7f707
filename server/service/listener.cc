#include "server/service/listener.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "server/service/connection.h"

namespace spolia::service {

Listener::Listener(ServiceContext& service, kj::LowLevelAsyncIoProvider& io)
    : service_(service),
      io_(io),
      connections_(kj::heap<kj::TaskSet>(*this)),
      accepting_(kj::heap<kj::TaskSet>(*this)) {}

Listener::~Listener() {
  service_.onIdle = nullptr;
}

void Listener::add(ListenSocket socket) {
  auto receiver = io_.wrapListenSocketFd(kj::mv(socket.fd));
  auto loop = acceptFrom(*receiver);
  accepting_->add(loop.attach(kj::mv(receiver)));
}

kj::Promise<void> Listener::acceptFrom(kj::ConnectionReceiver& receiver) {
  return receiver.accept()
      .then([this](kj::Own<kj::AsyncIoStream> socket) -> kj::Promise<void> {
        start(kj::mv(socket));
        return kj::READY_NOW;
      })
      .catch_([this](kj::Exception&& e) {
        // Out of descriptors, or a peer that left at once: go on, not in a tight loop.
        spdlog::warn("accept: {}", e.getDescription().cStr());
        return service_.timer.afterDelay(200 * kj::MILLISECONDS);
      })
      .then([this, &receiver] { return acceptFrom(receiver); });
}

void Listener::start(kj::Own<kj::AsyncIoStream> socket) {
  if (service_.connections >= service_.limits.connections) {
    spdlog::warn("a connection was refused: there are {} already (limits.connections)",
                 service_.connections);
    return;
  }
  auto connection = kj::heap<Connection>(service_, kj::mv(socket));
  Connection* raw = connection.get();
  open_.insert(raw);
  auto running = raw->run();
  connections_->add(
      running.attach(kj::defer([this, raw] { open_.erase(raw); })).attach(kj::mv(connection)));
}

kj::Promise<void> Listener::flushed() {
  if (std::none_of(open_.begin(), open_.end(), [](Connection* c) { return c->writing(); })) {
    return kj::READY_NOW;
  }
  return service_.timer.afterDelay(10 * kj::MILLISECONDS).then([this] { return flushed(); });
}

kj::Promise<void> Listener::drain() {
  service_.draining = true;
  accepting_ = nullptr;
  auto idle = kj::newPromiseAndFulfiller<void>();
  service_.onIdle = [fulfiller = idle.fulfiller.get()] { fulfiller->fulfill(); };
  if (service_.callsInFlight == 0) idle.fulfiller->fulfill();
  auto done = idle.promise.attach(kj::mv(idle.fulfiller)).then([this] { return flushed(); });
  auto late = service_.timer.afterDelay(service_.limits.drainSeconds * kj::SECONDS).then([this] {
    spdlog::warn("{} calls did not finish within limits.drain_seconds", service_.callsInFlight);
  });
  return done.exclusiveJoin(kj::mv(late)).then([this] {
    service_.onIdle = nullptr;
    connections_ = nullptr;
  });
}

void Listener::taskFailed(kj::Exception&& exception) {
  // Peers that vanish, break rules or time out: their connection alone is gone.
  spdlog::debug("connection: {}", exception.getDescription().cStr());
}

}  // namespace spolia::service
