#include "server/store/space_shares.h"

#include <algorithm>
#include <bit>
#include <string>

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

Status checkRoom(uint64_t capacityBytes, uint64_t segmentBytes) {
  if (shareOut(capacityBytes, segmentBytes).segments >= 2) return Status();
  return Status(ErrorCode::kInvalidArgument, "capacityBytes is " + std::to_string(capacityBytes) +
                                                 ", expected room for two segments of " +
                                                 std::to_string(segmentBytes) + " and at least " +
                                                 std::to_string(kMinIndexShare) + " for the index");
}

uint64_t segmentBytesFor(uint64_t capacityBytes) {
  return std::clamp<uint64_t>(std::bit_floor(capacityBytes / 16), 32 << 20, 256 << 20);
}

}  // namespace spolia::store
