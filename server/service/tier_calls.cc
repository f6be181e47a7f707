#include "server/service/tier_calls.h"

#include <spdlog/spdlog.h>

#include <utility>

namespace spolia::service {

TierCalls::TierCalls(std::unique_ptr<tiers::TierSet> tiers, kj::UnixEventPort& port)
    : tiers_(std::move(tiers)),
      drain_(port, queue_, [this](auto completions) { take(std::move(completions)); }),
      draining_(drain_.run().eagerlyEvaluate([](kj::Exception&& e) {
        spdlog::critical("the store's completions are not seen any more: {}",
                         e.getDescription().cStr());
      })) {}

TierCalls::~TierCalls() = default;

TierCalls::Ticket TierCalls::issue() {
  auto paf = kj::newPromiseAndFulfiller<codec::ChunkCompletion>();
  const uint64_t cookie = nextCookie_++;
  waiting_.emplace(cookie, kj::mv(paf.fulfiller));
  return {cookie, kj::mv(paf.promise)};
}

void TierCalls::take(std::vector<codec::ChunkCompletion> completions) {
  for (codec::ChunkCompletion& completion : completions) {
    auto node = waiting_.extract(completion.cookie);
    if (!node.empty()) node.mapped()->fulfill(std::move(completion));
  }
}

TierCalls::Answer TierCalls::open(const tiers::Namespace& ns, const ChunkId& id) {
  auto ticket = issue();
  tiers_->submitOpen(ns, id, ticket.cookie, queue_);
  return kj::mv(ticket.answer);
}

TierCalls::Answer TierCalls::fetch(const tiers::Namespace& ns, const ChunkId& id,
                                   const codec::KvRange& range) {
  auto ticket = issue();
  tiers_->submitFetch(ns, id, range, ticket.cookie, queue_);
  return kj::mv(ticket.answer);
}

TierCalls::Answer TierCalls::store(const tiers::Namespace& ns, AlignedBuffer stream,
                                   codec::PutOptions put) {
  auto ticket = issue();
  tiers_->submitStore(ns, std::move(stream), put, ticket.cookie, queue_);
  return kj::mv(ticket.answer);
}

TierCalls::Answer TierCalls::remove(const tiers::Namespace& ns, const ChunkId& id) {
  auto ticket = issue();
  tiers_->submitRemove(ns, id, ticket.cookie, queue_);
  return kj::mv(ticket.answer);
}

TierCalls::Answer TierCalls::putValue(const tiers::Namespace& ns, tiers::ValuePut put) {
  auto ticket = issue();
  tiers_->submitPutValue(ns, std::move(put), ticket.cookie, queue_);
  return kj::mv(ticket.answer);
}

TierCalls::Answer TierCalls::settle() {
  auto ticket = issue();
  tiers_->submitSettle(ticket.cookie, queue_);
  return kj::mv(ticket.answer);
}

TierCalls::Answer TierCalls::getValue(const tiers::Namespace& ns, const ChunkId& id) {
  auto ticket = issue();
  tiers_->submitGetValue(ns, id, ticket.cookie, queue_);
  return kj::mv(ticket.answer);
}

}  // namespace spolia::service
