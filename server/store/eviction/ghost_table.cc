#include "server/store/eviction/ghost_table.h"

#include <algorithm>
#include <utility>

namespace spolia::store {
namespace {

constexpr int kTagBits = 18;

// Never 0, which is a free place. From other bits of the hash than the bucket.
uint32_t tagOf(uint64_t keyHash) {
  return std::max<uint32_t>(1, static_cast<uint32_t>(keyHash & ((1u << kTagBits) - 1)));
}

}  // namespace

void GhostTable::reserve(size_t ghosts) {
  const size_t buckets = std::max<size_t>(1, ghosts / kWays), before = places_.size() / kWays;
  if (before > 0 && before * 5 / 4 >= buckets) return;
  std::vector<Place> wider(buckets * kWays);
  // A key's bucket grows in proportion; what stood at the edge of its own is lost.
  for (size_t i = 0; before > 0 && i < wider.size(); ++i) {
    wider[i] = places_[i / kWays * before / buckets * kWays + i % kWays];
  }
  places_ = std::move(wider);
}

size_t GhostTable::bucketOf(uint64_t keyHash) const {
  return ((keyHash >> 32) * (places_.size() / kWays) >> 32) * kWays;
}

void GhostTable::advance(uint32_t usedAt) {
  era_ = (era_ + 1) % kEras;
  eraStart_[era_] = usedAt;
  filled_ = 0;
}

void GhostTable::put(uint64_t keyHash, const Ghost& ghost) {
  if (++filled_ > places_.size() / 4) advance(ghost.usedAt);
  const uint32_t tag = tagOf(keyHash);
  Place* const first = places_.data() + bucketOf(keyHash);
  Place* const last = first + kWays;
  Place* place = std::find_if(first, last, [&](const Place& p) { return p.tag == tag; });
  if (place == last) {
    place = std::min_element(first, last, [&](const Place& a, const Place& b) {
      const auto age = [&](const Place& p) { return p.tag == 0 ? kEras : (era_ - p.era) % kEras; };
      return age(a) > age(b);
    });
  }
  *place = {tag, ghost.seen, ghost.meanGap, era_};
}

std::optional<Ghost> GhostTable::find(uint64_t keyHash) const {
  if (places_.empty()) return std::nullopt;
  const uint32_t tag = tagOf(keyHash);
  const Place* const first = places_.data() + bucketOf(keyHash);
  for (const Place* place = first; place != first + kWays; ++place) {
    if (place->tag != tag) continue;
    return Ghost{eraStart_[place->era], static_cast<uint8_t>(place->seen),
                 static_cast<uint8_t>(place->meanGap)};
  }
  return std::nullopt;
}

}  // namespace spolia::store
