// Working memory of the calling thread, kept from call to call so that products do not allocate.
#pragma once

#include <cstddef>

namespace spolia::engine {

// Who uses a piece: pieces of different users do not overlap.
enum class ScratchUser { kPanel, kBlocks, kRows, kSums, kSlice, kQuantized, kCount };

// At least `floats` floats, 64-byte aligned, of no defined content; valid until the same thread's
// next call with the same user.
float* scratchFloats(ScratchUser user, size_t floats);

}  // namespace spolia::engine
