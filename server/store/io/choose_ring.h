// The upper steps of the ladder of disks: io_uring, or threads where the kernel or a container
// refuses it. What each of them does without in turn it tells itself (Ring::missing).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "codec/base/result.h"
#include "server/store/io/ring.h"

namespace spolia::store {

enum class IoBackend : uint8_t { kAuto, kUring, kPread };

struct ChosenRing {
  std::unique_ptr<Ring> ring;
  std::string missing;  // what it does without, and why; empty: nothing
};

// For a directory that exists. kAuto takes the best that works and logs once what it could not
// have.
Result<ChosenRing> chooseRing(IoBackend asked, const std::filesystem::path& directory,
                              uint32_t queueDepth);

}  // namespace spolia::store
