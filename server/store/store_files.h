// What stands in a store's directory beside segments and index: the lock that keeps a second
// process out, the STORE file with the format's version and the number of openings, and the CLOCK
// file with the store's time.
//
// Directories are made 0700, files 0600. One thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>

#include "codec/base/result.h"
#include "server/store/lifetime/store_clock.h"

namespace spolia::store {

// Held as long as the object lives.
class DirectoryLock {
 public:
  // kUnavailable, naming process and program, when another holds it.
  static Result<DirectoryLock> acquire(const std::filesystem::path& directory);
  ~DirectoryLock();
  DirectoryLock(DirectoryLock&& other) noexcept;
  DirectoryLock& operator=(DirectoryLock&&) = delete;

 private:
  explicit DirectoryLock(int fd) : fd_(fd) {}
  int fd_;
};

// Makes the directory and what is above it. kInvalidArgument when something else is in the way.
Status makePrivateDirectory(const std::filesystem::path& directory);

// Bytes of the longest segment file in a directory that exists; 0: there is none.
Result<uint64_t> longestSegment(const std::filesystem::path& segments);

// kUnsupported when the directory holds a store of a newer format; writes nothing.
Status checkStoreFormat(const std::filesystem::path& directory);

// Counts one more opening, durably, and gives its number: above `latest`, the last one of which the
// segments know, also when STORE was lost. kCorrupt when the STORE file is not ours.
Result<uint32_t> nextEpoch(const std::filesystem::path& directory, uint32_t latest);

// Nothing when the store has no CLOCK file; kCorrupt when that is not ours.
Result<std::optional<ClockState>> readClock(const std::filesystem::path& directory);
// A running clock over that file; by the wall clock alone where the file is not ours.
Result<std::unique_ptr<StoreClock>> startClock(const std::filesystem::path& directory,
                                               const std::optional<ClockSources>& sources);
// Durably.
Status writeClock(const std::filesystem::path& directory, const ClockState& state);

}  // namespace spolia::store
