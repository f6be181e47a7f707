#include "codec/base/buffer_arena.h"

#include <sys/mman.h>

#include <algorithm>
#include <iterator>

#include "codec/base/bytes.h"
#include "codec/base/check.h"

namespace spolia {
namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr size_t kProcessBytes = 0;
#else
// Address space only; as much as the service lets be in flight.
constexpr size_t kProcessBytes = 1 << 30;
#endif
constexpr size_t kProcessKept = 64 << 20;

}  // namespace

BufferArena& BufferArena::process() {
  static BufferArena* const arena = new BufferArena(kProcessBytes, kProcessKept);
  return *arena;
}

BufferArena::BufferArena(size_t bytes, size_t kept) : kept_(kept) {
  if (bytes == 0) return;
  // A huge page more, of which the ends are given back: the region begins at a whole one.
  void* const got = ::mmap(nullptr, bytes + kHugePage, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (got == MAP_FAILED) return;
  auto* const first = static_cast<std::byte*>(got);
  const size_t front =
      roundUp(reinterpret_cast<size_t>(first), kHugePage) - reinterpret_cast<size_t>(first);
  if (front > 0) ::munmap(first, front);
  ::munmap(first + front + bytes, kHugePage - front);
  memory_ = first + front;
  size_ = bytes;
  ::madvise(memory_, size_, MADV_HUGEPAGE);  // where it is refused, small pages do
  free_[0] = size_;
}

BufferArena::~BufferArena() {
  if (memory_ != nullptr) ::munmap(memory_, size_);
}

std::byte* BufferArena::take(size_t bytes) {
  const std::lock_guard lock(mutex_);
  const auto found =
      std::ranges::find_if(free_, [&](const auto& piece) { return piece.second >= bytes; });
  if (found == free_.end()) return nullptr;
  const auto [offset, length] = *found;
  free_.erase(found);
  if (length > bytes) free_.emplace(offset + bytes, length - bytes);
  used_ += bytes;
  touched_ = std::max(touched_, offset + bytes);
  return memory_ + offset;
}

bool BufferArena::give(std::byte* memory, size_t bytes) {
  if (memory < memory_ || memory >= memory_ + size_) return false;
  const std::lock_guard lock(mutex_);
  const auto offset = static_cast<size_t>(memory - memory_);
  auto here = free_.emplace(offset, bytes).first;
  if (const auto next = std::next(here); next != free_.end() && offset + bytes == next->first) {
    here->second += next->second;
    free_.erase(next);
  }
  if (here != free_.begin()) {
    const auto before = std::prev(here);
    if (before->first + before->second == offset) {
      before->second += here->second;
      free_.erase(here);
    }
  }
  used_ -= bytes;
  trim();
  return true;
}

// Only at the end: what is between buffers in use is soon taken again.
void BufferArena::trim() {
  if (touched_ - used_ <= kept_) return;
  const auto last = std::prev(free_.end());
  if (last->first + last->second != size_) return;
  const size_t from = roundUp(std::max({last->first, held_, used_ + kept_}), kHugePage);
  if (from >= touched_) return;
  ::madvise(memory_ + from, roundUp(touched_, kHugePage) - from, MADV_DONTNEED);
  touched_ = from;
}

void BufferArena::hold(size_t bytes) {
  SPOLIA_CHECK(bytes <= size_);
  const std::lock_guard lock(mutex_);
  held_ = std::max(held_, bytes);
}

size_t BufferArena::touched() const {
  const std::lock_guard lock(mutex_);
  return touched_;
}

}  // namespace spolia
