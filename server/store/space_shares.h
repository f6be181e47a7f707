// How a store's cap is shared out between segments and index. Pure functions; any thread.
#pragma once

#include <cstdint>

#include "codec/base/result.h"

namespace spolia::store {

struct SpaceShares {
  uint32_t segments = 0;
  // For the index's files and the few small ones beside it.
  uint64_t indexBytes = 0;
};

// Together never more than the cap. No segments: the cap is too small for anything.
SpaceShares shareOut(uint64_t capacityBytes, uint64_t segmentBytes);

// kInvalidArgument, saying what was expected, for a cap that has no room for two segments.
Status checkRoom(uint64_t capacityBytes, uint64_t segmentBytes);

// A good size for the segments of a new store: 256 MiB, less where that would make fewer than about
// 16, but at least 32 MiB.
uint64_t segmentBytesFor(uint64_t capacityBytes);

}  // namespace spolia::store
