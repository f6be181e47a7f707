#include "server/store/eviction/ghost_list.h"

namespace spolia::store {

void GhostList::add(uint64_t keyHash, uint64_t bytes) {
  remove(keyHash);
  ghosts_.push_front({keyHash, bytes});
  where_[keyHash] = ghosts_.begin();
  bytes_ += bytes;
}

void GhostList::remove(uint64_t keyHash) {
  const auto found = where_.find(keyHash);
  if (found == where_.end()) return;
  bytes_ -= found->second->bytes;
  ghosts_.erase(found->second);
  where_.erase(found);
}

void GhostList::trim(uint64_t limit) {
  while (bytes_ > limit) remove(ghosts_.back().keyHash);
}

}  // namespace spolia::store
