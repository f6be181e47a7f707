#include "server/store/eviction/ghost_table.h"

#include <algorithm>
#include <utility>

namespace spolia::store {
namespace {

constexpr int kTagBits = 11;
constexpr uint8_t kSeenSteps[] = {0, 1, 2, 3, 4, 6, 10, 15};

// Never 0, which is a free place. From other bits of the hash than the bucket.
uint32_t tagOf(uint64_t keyHash) {
  return std::max<uint32_t>(1, static_cast<uint32_t>(keyHash & ((1u << kTagBits) - 1)));
}

uint32_t stepOf(uint8_t seen) {
  return static_cast<uint32_t>(std::ranges::upper_bound(kSeenSteps, seen) - kSeenSteps - 1);
}

}  // namespace

GhostTable::Packed GhostTable::pack(const Place& place) {
  const uint32_t bits = place.tag | place.uses << 11 | place.meanGap << 14 | place.era << 20;
  return {static_cast<uint8_t>(bits), static_cast<uint8_t>(bits >> 8),
          static_cast<uint8_t>(bits >> 16)};
}

GhostTable::Place GhostTable::unpack(const Packed& packed) {
  const uint32_t bits = packed[0] | packed[1] << 8 | packed[2] << 16;
  return {bits & 0x7ff, bits >> 11 & 7, bits >> 14 & 63, bits >> 20};
}

void GhostTable::reserve(size_t ghosts) {
  const size_t buckets = std::max<size_t>(1, ghosts / kWays), before = places_.size() / kWays;
  if (before > 0 && before * 5 / 4 >= buckets) return;
  std::vector<Packed> wider(buckets * kWays);
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
  Packed* const first = places_.data() + bucketOf(keyHash);
  Packed* const last = first + kWays;
  Packed* place = std::find_if(first, last, [&](const Packed& p) { return unpack(p).tag == tag; });
  if (place == last) {
    const auto age = [&](const Packed& packed) {
      const Place p = unpack(packed);
      return p.tag == 0 ? kEras : (era_ - p.era) % kEras;
    };
    place = std::ranges::max_element(first, last, {}, age);
  }
  *place = pack({tag, stepOf(ghost.seen), ghost.meanGap, era_});
}

std::optional<Ghost> GhostTable::find(uint64_t keyHash) const {
  if (places_.empty()) return std::nullopt;
  const uint32_t tag = tagOf(keyHash);
  const Packed* const first = places_.data() + bucketOf(keyHash);
  for (const Packed* packed = first; packed != first + kWays; ++packed) {
    const Place place = unpack(*packed);
    if (place.tag != tag) continue;
    return Ghost{eraStart_[place.era], kSeenSteps[place.uses], static_cast<uint8_t>(place.meanGap)};
  }
  return std::nullopt;
}

}  // namespace spolia::store
