// The Ring on io_uring. The only files that know liburing.
#pragma once

#include <filesystem>
#include <memory>

#include "server/store/io/ring.h"

namespace spolia::store {

// kUnavailable, with the errno's text, where the kernel or a seccomp profile refuses io_uring.
Result<std::unique_ptr<Ring>> makeUringRing(const std::filesystem::path& directory,
                                            uint32_t queueDepth);

}  // namespace spolia::store
