// Ring: the asynchronous disk of a store, the one place where bytes meet a device. Real forms are
// uring_ring (io_uring) and pread_ring (a pool of threads); tests have a simulated one that loses,
// tears and fails on demand.
//
// Files live in one directory and are named without path. Offsets, lengths and memory of reads and
// writes are multiples of kDiskBlock (O_DIRECT).
//
// Threads: one thread owns a ring; wake() alone may be called from any. Memory of a request belongs
// to the ring until its completion, also when the request was given up.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codec/base/bytes.h"
#include "codec/base/result.h"

namespace spolia::store {

inline constexpr size_t kDiskBlock = 4096;

constexpr uint64_t roundUpToBlock(uint64_t bytes) {
  return (bytes + kDiskBlock - 1) / kDiskBlock * kDiskBlock;
}

struct FileHandle {
  int32_t value = -1;
  auto operator<=>(const FileHandle&) const = default;
};

enum class RingOp : uint8_t { kRead, kWrite, kSync };

struct RingRequest {
  RingOp op = RingOp::kRead;
  FileHandle file;
  uint64_t offset = 0;        // kSync: unused, as are the next two
  std::byte* data = nullptr;  // kWrite: only read
  size_t length = 0;
  uint64_t tag = 0;  // comes back with the completion
};

// `error` is 0 when the whole transfer (or the sync) is done, else an errno; a read beyond the end
// of the file is EIO. Short transfers are continued inside.
struct RingCompletion {
  uint64_t tag = 0;
  int error = 0;
};

class Ring {
 public:
  virtual ~Ring() = default;

  // "io_uring", "pread", "simulated".
  virtual std::string_view name() const = 0;
  // What it has to do without, and why; for people. Empty: nothing.
  virtual std::string missing() const { return {}; }

  // Queues a request; it starts no later than the next wait().
  virtual void submit(const RingRequest& request) = 0;
  // Asks that the read with this tag be given up. Its completion comes all the same, once: with
  // ECANCELED, or as if nothing had been asked. Unknown tags are ignored.
  virtual void cancel(uint64_t tag) = 0;
  // Appends what has completed. kBlock: returns only with a completion, after wake(), or when
  // `atMost` has passed.
  enum class Wait { kPoll, kBlock };
  static constexpr std::chrono::nanoseconds kForever = std::chrono::nanoseconds::max();
  virtual void wait(Wait mode, std::chrono::nanoseconds atMost,
                    std::vector<RingCompletion>& out) = 0;
  // Makes a blocking wait() return, now or the next time.
  virtual void wake() = 0;

  // What follows blocks; it is for opening, rolling and recovery.
  // Names of all files in the directory.
  virtual Result<std::vector<std::string>> list() = 0;
  // An existing file. kNotFound, kIoError.
  virtual Result<FileHandle> open(const std::string& name) = 0;
  virtual Result<uint64_t> size(FileHandle file) = 0;
  // A new file of `bytes` that begins with `first`: temporary name, space reserved, written,
  // fsync, rename, directory fsync. After a crash it is there whole or not at all. kOutOfSpace.
  virtual Result<FileHandle> create(const std::string& name, uint64_t bytes, ByteSpan first) = 0;
  // The file is gone for good when this returns; nothing of it is in flight.
  virtual Status remove(FileHandle file) = 0;
  virtual Status readNow(FileHandle file, uint64_t offset, MutableByteSpan out) = 0;
  virtual Status writeNow(FileHandle file, uint64_t offset, ByteSpan data) = 0;
  // fdatasync. After a failure the file's unsynced writes are lost for good; never tried again.
  virtual Status syncNow(FileHandle file) = 0;
};

// Makes rings for a directory that exists.
class RingFactory {
 public:
  virtual ~RingFactory() = default;
  virtual Result<std::unique_ptr<Ring>> make(const std::filesystem::path& directory,
                                             uint32_t queueDepth) = 0;
};

}  // namespace spolia::store
