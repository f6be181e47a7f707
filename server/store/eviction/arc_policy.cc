#include "server/store/eviction/arc_policy.h"

#include <algorithm>

namespace spolia::store {
namespace {

// How far one hit among the ghosts of one list moves the target: more the fewer they are.
uint64_t step(uint64_t bytes, uint64_t ghosts, uint64_t otherGhosts) {
  const double ratio = static_cast<double>(otherGhosts) / static_cast<double>(ghosts);
  return static_cast<uint64_t>(static_cast<double>(bytes) * std::max(1.0, ratio));
}

}  // namespace

bool ArcPolicy::onAdmit(const ChunkTraits& chunk, uint64_t) {
  const uint64_t once = ghosts_[kOnce].bytes(), again = ghosts_[kAgain].bytes();
  againGhostAsked_ = ghosts_[kAgain].has(chunk.keyHash);
  if (ghosts_[kOnce].has(chunk.keyHash)) {
    onceTarget_ = std::min(capacity(), onceTarget_ + step(chunk.storedBytes, once, again));
  } else if (againGhostAsked_) {
    onceTarget_ -= std::min(onceTarget_, step(chunk.storedBytes, again, once));
  }
  return true;
}

void ArcPolicy::onInsert(Slot slot, const ChunkTraits& chunk, uint64_t) {
  const bool known = ghosts_[kOnce].has(chunk.keyHash) || ghosts_[kAgain].has(chunk.keyHash);
  for (GhostList& ghosts : ghosts_) ghosts.remove(chunk.keyHash);
  lists_.add(known ? kAgain : kOnce, slot, chunk.storedBytes);
  trimGhosts();
}

void ArcPolicy::onTouch(Slot slot, uint64_t, uint64_t) {
  lists_.move(kAgain, slot);
}

void ArcPolicy::onRemove(Slot slot, uint64_t keyHash, Departure why) {
  const SlotLists::Node& node = lists_.at(slot);
  if (why == Departure::kEvicted) ghosts_[node.list].add(keyHash, node.bytes);
  lists_.remove(slot);
  trimGhosts();
}

Slot ArcPolicy::onChooseVictim(uint64_t) {
  const uint64_t once = lists_.bytes(kOnce);
  const bool overTarget = once > onceTarget_ || (againGhostAsked_ && once == onceTarget_);
  const List from = once > 0 && (overTarget || lists_.bytes(kAgain) == 0) ? kOnce : kAgain;
  return lists_.oldest(from);
}

void ArcPolicy::onPostpone(Slot slot, uint64_t) {
  lists_.move(lists_.at(slot).list, slot);
}

// |T1| + |B1| <= c and all four together <= 2 c, as the paper keeps it.
void ArcPolicy::trimGhosts() {
  ghosts_[kOnce].trim(capacity() - lists_.bytes(kOnce));
  const uint64_t others = lists_.bytes(kOnce) + lists_.bytes(kAgain) + ghosts_[kOnce].bytes();
  ghosts_[kAgain].trim(2 * capacity() - others);
}

size_t ArcPolicy::stateBytes() const {
  return lists_.stateBytes() + ghosts_[kOnce].stateBytes() + ghosts_[kAgain].stateBytes();
}

}  // namespace spolia::store
