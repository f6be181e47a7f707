// Listener: accepts connections and runs the protocol on each of them. Owned by main; one event
// loop; the context outlives it.
#pragma once

#include <kj/async-io.h>

#include <set>
#include <string>

#include "server/service/listen_socket.h"
#include "server/service/service_context.h"

namespace spolia::service {

class Connection;

class Listener final : public kj::TaskSet::ErrorHandler {
 public:
  Listener(ServiceContext& service, kj::LowLevelAsyncIoProvider& io);
  ~Listener();
  KJ_DISALLOW_COPY(Listener);

  // Accepts from now on.
  void add(ListenSocket socket);

  // Stops accepting, lets the calls under way finish and their answers leave within the limit's
  // drain time, then closes every connection. Calls that come meanwhile are refused as unavailable.
  kj::Promise<void> drain();

 private:
  kj::Promise<void> acceptFrom(kj::ConnectionReceiver& receiver);
  void start(kj::Own<kj::AsyncIoStream> socket);
  kj::Promise<void> flushed();
  void taskFailed(kj::Exception&& exception) override;

  ServiceContext& service_;
  kj::LowLevelAsyncIoProvider& io_;
  std::set<Connection*> open_;
  kj::Own<kj::TaskSet> connections_;
  kj::Own<kj::TaskSet> accepting_;
};

}  // namespace spolia::service
