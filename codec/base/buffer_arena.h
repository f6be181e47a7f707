// BufferArena: the memory of long buffers, one region of huge pages. A device is asked for a buffer
// in one piece where its memory is in one piece, which reads about half as fast again; and a region
// that stays can be made known to the kernel once (registered) instead of with every request.
//
// Memory is taken from the lowest address on, so that a few buffers stay in the same few pages. Of
// what was used and is free again it keeps so much and gives the rest back to the system.
//
// Any thread. The process has one, which AlignedBuffer uses; tests make others.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <span>

namespace spolia {

class BufferArena {
 public:
  static constexpr size_t kHugePage = 2 << 20;
  // Everything is a multiple of it.
  static constexpr size_t kPage = 4096;

  // Never destroyed. Without memory where the system gives none, and under AddressSanitizer, which
  // would not see uses after the end.
  static BufferArena& process();

  // `bytes` of address space, of which `kept` stay in memory while they are free. Multiples of
  // kHugePage.
  BufferArena(size_t bytes, size_t kept);
  ~BufferArena();
  BufferArena(const BufferArena&) = delete;
  BufferArena& operator=(const BufferArena&) = delete;

  // A multiple of kPage, not initialised; null when there is no such piece.
  std::byte* take(size_t bytes);
  // What was taken, whole. False, doing nothing, for memory that is not the arena's.
  bool give(std::byte* memory, size_t bytes);

  std::span<std::byte> memory() const { return {memory_, size_}; }
  // The first `bytes` are never given back to the system from now on, so that the kernel may be
  // told of them.
  void hold(size_t bytes);

  // Bytes that were used since the system had them back, in use and free.
  size_t touched() const;

 private:
  void trim();

  std::byte* memory_ = nullptr;
  size_t size_ = 0;
  const size_t kept_;
  mutable std::mutex mutex_;
  std::map<size_t, size_t> free_;  // offset -> length; neighbours are one. Guarded by mutex_
  size_t used_ = 0;                // guarded by mutex_
  size_t touched_ = 0;             // guarded by mutex_
  size_t held_ = 0;                // guarded by mutex_
};

}  // namespace spolia
