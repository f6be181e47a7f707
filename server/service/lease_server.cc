#include "server/service/lease_server.h"

#include <utility>

#include "client/protocol/errors.h"

namespace spolia::service {

LeaseServer::LeaseServer(ServiceContext& service, protocol::Session::Client session,
                         store::LeaseId id)
    : service_(service), session_(kj::mv(session)), id_(id) {}

LeaseServer::~LeaseServer() {
  service_.calls.tiers().endLease(id_);
}

kj::Promise<void> LeaseServer::fetch(FetchContext context) {
  const auto params = context.getParams();
  auto request = session_.fetchRequest();
  request.setSpecs(params.getSpecs());
  request.setSink(params.getSink());
  request.setDeadlineMs(params.getDeadlineMs());
  context.releaseParams();
  context.allowCancellation();
  return request.send().ignoreResult();
}

kj::Promise<void> LeaseServer::renew(RenewContext context) {
  const auto length = service_.calls.tiers().renewLease(id_, context.getParams().getTtlMs());
  if (!length.ok()) return protocol::toException(length.status());
  context.getResults().setTtlMs(static_cast<uint32_t>(*length));
  return kj::READY_NOW;
}

}  // namespace spolia::service
