// The Ring on a pool of threads with pread, pwrite and fdatasync: for kernels and containers that
// refuse io_uring.
#pragma once

#include <filesystem>
#include <memory>

#include "server/store/io/ring.h"

namespace spolia::store {

Result<std::unique_ptr<Ring>> makePreadRing(const std::filesystem::path& directory,
                                            uint32_t queueDepth);

}  // namespace spolia::store
