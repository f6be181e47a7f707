#include "server/store/space_shares.h"

#include <algorithm>

#include "server/store/index/rocks_index.h"

namespace spolia::store {
namespace {

// An entry of 8 KiB, the shortest with a payload, has about 150 bytes in the index: one part in 54,
// and as much again until it is compacted.
constexpr uint64_t kIndexPart = 32;

}  // namespace

SpaceShares shareOut(uint64_t capacityBytes, uint64_t segmentBytes) {
  SpaceShares shares;
  shares.indexBytes = std::max(kMinIndexShare, capacityBytes / kIndexPart);
  if (shares.indexBytes > capacityBytes) return {};
  shares.segments = static_cast<uint32_t>(
      std::min<uint64_t>((capacityBytes - shares.indexBytes) / segmentBytes, UINT32_MAX));
  return shares;
}

}  // namespace spolia::store
