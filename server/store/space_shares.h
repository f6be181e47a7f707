// How a store's cap is shared out between segments and index. Pure functions; any thread.
#pragma once

#include <cstdint>

namespace spolia::store {

struct SpaceShares {
  uint32_t segments = 0;
  // For the index's files and the few small ones beside it.
  uint64_t indexBytes = 0;
};

// Together never more than the cap. No segments: the cap is too small for anything.
SpaceShares shareOut(uint64_t capacityBytes, uint64_t segmentBytes);

}  // namespace spolia::store
