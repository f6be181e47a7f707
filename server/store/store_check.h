// What can be done with a store that nobody has open: check all of it against its index, and make
// the index anew. Blocking; each takes the directory's lock.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "codec/base/result.h"

namespace spolia::store {

struct CheckReport {
  uint64_t segments = 0;
  uint64_t entries = 0;    // the index names
  uint64_t intact = 0;     // of these
  uint64_t liveBytes = 0;  // of the intact ones' records
  uint64_t bytesRead = 0;  // of segments
  // Latest records that the index does not name: evicted, or to be found at the next opening.
  uint64_t unnamed = 0;
  uint64_t problems = 0;
};

// Reads every record of every segment and changes nothing. `problem` is told each as a line: files
// that are not segments, damaged records that the index names, entries without a record.
// kUnavailable naming the holder when the store is open; kNotFound when there is none; kUnsupported
// for a newer format; kCorrupt when the index cannot be opened.
Result<CheckReport> checkStore(const std::filesystem::path& directory,
                               const std::function<void(const std::string&)>& problem);

struct RebuildReport {
  uint64_t entries = 0;
  uint64_t segments = 0;
};

// Drops the index and makes it again from the segments. Only evictions may be undone by that.
// Errors as above; with one, the next opening rebuilds.
Result<RebuildReport> rebuildIndex(const std::filesystem::path& directory);

}  // namespace spolia::store
