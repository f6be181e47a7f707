#include "client/header_cache.h"

#include <utility>

namespace spolia::client {

HeaderCache::Header HeaderCache::find(const ChunkId& id) {
  const auto found = byId_.find(id);
  if (found == byId_.end()) return nullptr;
  recent_.splice(recent_.begin(), recent_, found->second);
  return found->second->header;
}

void HeaderCache::put(const ChunkId& id, Header header) {
  erase(id);
  recent_.push_front({id, std::move(header)});
  byId_[id] = recent_.begin();
  if (recent_.size() <= capacity_) return;
  byId_.erase(recent_.back().id);
  recent_.pop_back();
}

void HeaderCache::erase(const ChunkId& id) {
  const auto found = byId_.find(id);
  if (found == byId_.end()) return;
  recent_.erase(found->second);
  byId_.erase(found);
}

}  // namespace spolia::client
