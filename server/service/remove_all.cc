#include "server/service/remove_all.h"

#include <memory>
#include <utility>

#include "client/protocol/errors.h"

namespace spolia::service {
namespace {

// Entries of the index looked at before the event loop has its turn: about a millisecond.
constexpr size_t kLooks = 512;

struct Removal {
  ServiceContext& service;
  const tiers::Namespace ns;
  const std::optional<codec::EntryKind> kind;
  StoreKey from;
  uint64_t removed = 0;
  Status failure;
};

void count(Removal& removal, const Status& status) {
  if (status.ok()) ++removal.removed;
  // Somebody else was quicker.
  if (status.code() == ErrorCode::kNotFound) return;
  if (removal.failure.ok()) removal.failure = status;
}

kj::Promise<uint64_t> step(std::shared_ptr<Removal> removal) {
  TierCalls& calls = removal->service.calls;
  auto page = calls.tiers().ids(removal->ns, removal->kind, removal->from, kLooks);
  if (!page.ok()) return protocol::toException(page.status());
  auto removals = kj::heapArrayBuilder<kj::Promise<void>>(page->ids.size());
  for (const ChunkId& id : page->ids) {
    removals.add(calls.remove(removal->ns, id).then([removal](codec::ChunkCompletion done) {
      count(*removal, done.status);
    }));
  }
  return kj::joinPromises(removals.finish())
      .then([removal, next = page->next]() -> kj::Promise<uint64_t> {
        if (!removal->failure.ok()) return protocol::toException(removal->failure);
        if (!next) return removal->removed;
        removal->from = *next;
        return kj::evalLater([removal] { return step(removal); });
      });
}

}  // namespace

kj::Promise<uint64_t> removeAll(ServiceContext& service, const tiers::Namespace& ns,
                                std::optional<codec::EntryKind> kind) {
  return step(std::make_shared<Removal>(Removal{service, ns, kind, {}, 0, {}}));
}

}  // namespace spolia::service
