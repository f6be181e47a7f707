// How much memory there is for a model. Any thread.
#pragma once

#include <cstdint>

namespace spolia::engine {

// Bytes of the machine, or of the container where that has less; UINT64_MAX when neither is known.
uint64_t machineMemory();

}  // namespace spolia::engine
