#include "server/tiers/parsed_headers.h"

#include <utility>

namespace spolia::tiers {
namespace {

// Raw bytes and what parsing makes of them: mostly token ids and the frame table.
uint64_t footprint(const CachedHeader& entry) {
  const codec::StreamHeader& header = *entry.header;
  return entry.raw.size() + sizeof header + header.identity.tokens.size() * sizeof(codec::TokenId) +
         header.frames.size() * sizeof(codec::FrameEntry) +
         header.sideSections.size() * sizeof(codec::SideSection) +
         header.layers.size() * (sizeof(codec::LayerShape) + 2 * sizeof(codec::PlaneRef)) +
         header.planeGroups.size() * sizeof(header.planeGroups[0]);
}

}  // namespace

std::shared_ptr<const CachedHeader> ParsedHeaders::find(const StoreKey& key, uint64_t contentTag) {
  const auto found = byKey_.find(key);
  if (found == byKey_.end() || found->second->entry->contentTag != contentTag) return nullptr;
  slots_.splice(slots_.begin(), slots_, found->second);
  return found->second->entry;
}

void ParsedHeaders::insert(const StoreKey& key, std::shared_ptr<const CachedHeader> entry) {
  erase(key);
  const uint64_t bytes = footprint(*entry);
  if (bytes > capacityBytes_) return;
  slots_.push_front({key, std::move(entry), bytes});
  byKey_[key] = slots_.begin();
  usedBytes_ += bytes;
  while (usedBytes_ > capacityBytes_) erase(StoreKey(slots_.back().key));
}

void ParsedHeaders::erase(const StoreKey& key) {
  const auto found = byKey_.find(key);
  if (found == byKey_.end()) return;
  usedBytes_ -= found->second->bytes;
  slots_.erase(found->second);
  byKey_.erase(found);
}

}  // namespace spolia::tiers
