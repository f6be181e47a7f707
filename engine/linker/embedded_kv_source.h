// The embedded form of KvSource: a store in this process, one process per directory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

#include "codec/base/result.h"
#include "engine/linker/kv_source.h"

namespace spolia::engine {

struct EmbeddedStoreConfig {
  std::filesystem::path directory;  // created when absent
  uint64_t capacityBytes = 8ull << 30;
  uint64_t segmentBytes = 0;  // chosen by the capacity
  uint64_t memoryBytes = 0;   // of the tier above the disk; 0: none
  uint64_t ttlSeconds = 0;    // of all that is stored through the source; 0: without end
};

// Opens the store. kUnavailable naming the holder when another process has it, kUnsupported for a
// newer format, kInvalidArgument for a bad configuration; nothing is changed then.
Result<std::unique_ptr<KvSource>> openEmbeddedKvSource(const EmbeddedStoreConfig& config);

}  // namespace spolia::engine
