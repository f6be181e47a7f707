// How fast this machine reads memory: what bounds decoding.
#pragma once

#include "engine/kernels/thread_pool.h"

namespace spolia::engine {

// Bytes a second that the pool's threads read together, one behind the other, of a gigabyte that no
// cache holds: the median of five times.
double readRate(ThreadPool& pool);

}  // namespace spolia::engine
