// TierCalls: the tiers as promises. Turns each request into a promise by its cookie and drains the
// completions on the event loop. Owns the TierSet, which is closed before the queue goes.
//
// One event loop. Dropping a promise does not cancel the request below: its completion is thrown
// away when it comes.
#pragma once

#include <kj/async-unix.h>

#include <memory>
#include <unordered_map>
#include <vector>

#include "client/protocol/kj_queue.h"
#include "server/tiers/tier_set.h"

namespace spolia::service {

class TierCalls {
 public:
  TierCalls(std::unique_ptr<tiers::TierSet> tiers, kj::UnixEventPort& port);
  ~TierCalls();
  KJ_DISALLOW_COPY(TierCalls);

  using Answer = kj::Promise<codec::ChunkCompletion>;  // failures are in its status
  Answer open(const tiers::Namespace& ns, const ChunkId& id);
  Answer fetch(const tiers::Namespace& ns, const ChunkId& id, const codec::KvRange& range);
  Answer store(const tiers::Namespace& ns, AlignedBuffer stream, codec::PutOptions put);
  Answer remove(const tiers::Namespace& ns, const ChunkId& id);
  Answer putValue(const tiers::Namespace& ns, tiers::ValuePut put);
  Answer settle();
  Answer getValue(const tiers::Namespace& ns, const ChunkId& id);

  // For what answers at once from the index: lookup, list, stats.
  tiers::TierSet& tiers() { return *tiers_; }

 private:
  struct Ticket {
    uint64_t cookie;
    Answer answer;
  };
  Ticket issue();
  void take(std::vector<codec::ChunkCompletion> completions);

  codec::ChunkQueue queue_;
  std::unique_ptr<tiers::TierSet> tiers_;
  uint64_t nextCookie_ = 1;
  std::unordered_map<uint64_t, kj::Own<kj::PromiseFulfiller<codec::ChunkCompletion>>> waiting_;
  protocol::KjQueueDrain<codec::ChunkCompletion> drain_;
  kj::Promise<void> draining_;
};

}  // namespace spolia::service
