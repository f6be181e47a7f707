#include "server/service/service_context.h"

namespace spolia::service {

Status SessionState::mayUseChunks() const {
  if (fingerprint || (rights & kAdminRight) != 0) return {};
  return {ErrorCode::kPermissionDenied,
          "this session names no model; chunks need one, or the right admin"};
}

Status SessionState::checkModel(const ModelFingerprint& ofChunk) const {
  if (!fingerprint || *fingerprint == ofChunk) return {};
  return {ErrorCode::kInvalidArgument, "another model's fingerprint: the chunk has " +
                                           ofChunk.hex().substr(0, 16) +
                                           "..., the session's model \"" + model + "\" has " +
                                           fingerprint->hex().substr(0, 16) + "..."};
}

kj::Promise<HeldBytes> holdBytes(ServiceContext& service, Peer& peer, uint64_t bytes) {
  // The peer's own first: one that asks for much waits for itself before it takes from the others.
  return peer.budget.reserve(bytes).then(
      [&service, bytes](protocol::ByteBudget::Reservation ofPeer) mutable {
        return service.payloadBudget.reserve(bytes).then(
            [ofPeer = kj::mv(ofPeer)](protocol::ByteBudget::Reservation ofAll) mutable {
              return HeldBytes{kj::mv(ofPeer), kj::mv(ofAll)};
            });
      });
}

}  // namespace spolia::service
