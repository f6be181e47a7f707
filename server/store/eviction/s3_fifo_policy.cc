#include "server/store/eviction/s3_fifo_policy.h"

#include <algorithm>

namespace spolia::store {
namespace {

constexpr uint8_t kMostUses = 3;  // two bits

}  // namespace

S3FifoPolicy::S3FifoPolicy(uint64_t capacityBytes, const S3FifoParams& params)
    : EvictionPolicy(capacityBytes),
      smallTarget_(static_cast<uint64_t>(static_cast<double>(capacityBytes) * params.smallShare)),
      promoteUses_(params.promoteUses),
      queues_(2) {}

void S3FifoPolicy::onInsert(Slot slot, const ChunkTraits& chunk, uint64_t) {
  const Queue queue = ghosts_.has(chunk.keyHash) ? kMain : kSmall;
  ghosts_.remove(chunk.keyHash);
  queues_.add(queue, slot, chunk.storedBytes);
}

void S3FifoPolicy::onTouch(Slot slot, uint64_t, uint64_t) {
  uint8_t& uses = queues_.at(slot).uses;
  uses = std::min<uint8_t>(kMostUses, uses + 1);
}

void S3FifoPolicy::onRemove(Slot slot, uint64_t keyHash, Departure why) {
  const SlotLists::Node& node = queues_.at(slot);
  if (why == Departure::kEvicted && node.list == kSmall) ghosts_.add(keyHash, node.bytes);
  queues_.remove(slot);
  ghosts_.trim(capacity() - smallTarget_);
}

bool S3FifoPolicy::takeFromSmall() const {
  return queues_.bytes(kMain) == 0 ||
         (queues_.bytes(kSmall) > 0 && queues_.bytes(kSmall) >= smallTarget_);
}

// Ends: each turn empties the small queue by one or takes a use from a chunk in the main queue.
Slot S3FifoPolicy::onChooseVictim(uint64_t) {
  for (;;) {
    const Queue queue = takeFromSmall() ? kSmall : kMain;
    const Slot oldest = queues_.oldest(queue);
    uint8_t& uses = queues_.at(oldest).uses;
    const bool stays = queue == kSmall ? uses >= promoteUses_ : uses > 0;
    if (!stays) return oldest;
    uses = queue == kSmall ? 0 : uses - 1;
    queues_.move(kMain, oldest);
  }
}

void S3FifoPolicy::onPostpone(Slot slot, uint64_t) {
  queues_.move(queues_.at(slot).list, slot);
}

}  // namespace spolia::store
