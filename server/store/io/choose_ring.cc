#include "server/store/io/choose_ring.h"

#include <spdlog/spdlog.h>

#include <utility>

#include "server/store/io/pread_ring.h"
#include "server/store/io/uring_ring.h"

namespace spolia::store {
namespace {

Result<std::unique_ptr<Ring>> best(IoBackend asked, const std::filesystem::path& directory,
                                   uint32_t queueDepth, std::string& missing) {
  if (asked != IoBackend::kPread) {
    Result<std::unique_ptr<Ring>> ring = makeUringRing(directory, queueDepth);
    if (ring.ok() || asked == IoBackend::kUring) return ring;
    missing = ring.status().message();
    spdlog::warn("{}; reading and writing with a pool of threads instead", missing);
  }
  return makePreadRing(directory, queueDepth);
}

}  // namespace

Result<ChosenRing> chooseRing(IoBackend asked, const std::filesystem::path& directory,
                              uint32_t queueDepth) {
  ChosenRing out;
  SPOLIA_ASSIGN_OR_RETURN(out.ring, best(asked, directory, queueDepth, out.missing));
  if (const std::string missing = out.ring->missing(); !missing.empty()) {
    spdlog::warn("{} does without: {}", out.ring->name(), missing);
    out.missing.append(out.missing.empty() ? "" : "; ").append(missing);
  }
  return out;
}

}  // namespace spolia::store
