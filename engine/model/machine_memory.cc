#include "engine/model/machine_memory.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>

namespace spolia::engine {

namespace {

// Control groups of both versions; a file that is absent or says "max" limits nothing.
constexpr const char* kLimitFiles[] = {"/sys/fs/cgroup/memory.max",
                                       "/sys/fs/cgroup/memory/memory.limit_in_bytes"};

}  // namespace

uint64_t machineMemory() {
  uint64_t bytes = UINT64_MAX;
  const long pages = ::sysconf(_SC_PHYS_PAGES), pageSize = ::sysconf(_SC_PAGESIZE);
  if (pages > 0 && pageSize > 0) {
    bytes = static_cast<uint64_t>(pages) * static_cast<uint64_t>(pageSize);
  }
  for (const char* path : kLimitFiles) {
    uint64_t limit = 0;
    if (std::ifstream(path) >> limit && limit > 0) bytes = std::min(bytes, limit);
  }
  return bytes;
}

}  // namespace spolia::engine
