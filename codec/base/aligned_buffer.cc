#include "codec/base/aligned_buffer.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <mutex>

#include "codec/base/check.h"

namespace spolia {

namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr size_t kKept = 0;  // so that what is used after its end is noticed
#else
constexpr size_t kKept = AlignedBuffer::kKeptBytes;
#endif

size_t roundUp(size_t size, size_t step) {
  return (size + step - 1) / step * step;
}

size_t capacityFor(size_t size) {
  const size_t whole = roundUp(size, AlignedBuffer::kAlignment);
  return whole < AlignedBuffer::kLeastKept ? whole : roundUp(whole, std::bit_floor(whole) / 8);
}

// Freed memory, the oldest in front.
class FreedBuffers {
 public:
  // Of exactly so many bytes; null: none is there.
  std::byte* take(size_t capacity) {
    const std::lock_guard lock(mutex_);
    const auto found = std::find_if(freed_.rbegin(), freed_.rend(),
                                    [&](const Freed& freed) { return freed.capacity == capacity; });
    if (found == freed_.rend()) return nullptr;
    std::byte* const memory = found->memory;
    bytes_ -= capacity;
    freed_.erase(std::next(found).base());
    return memory;
  }

  void give(std::byte* memory, size_t capacity) {
    std::deque<Freed> tooOld;
    {
      const std::lock_guard lock(mutex_);
      freed_.push_back({memory, capacity});
      bytes_ += capacity;
      for (; bytes_ > kKept; freed_.pop_front()) {
        bytes_ -= freed_.front().capacity;
        tooOld.push_back(freed_.front());
      }
    }
    for (const Freed& freed : tooOld) std::free(freed.memory);
  }

 private:
  struct Freed {
    std::byte* memory;
    size_t capacity;
  };

  std::mutex mutex_;
  std::deque<Freed> freed_;
  size_t bytes_ = 0;
};

FreedBuffers& freedBuffers() {
  static FreedBuffers* const buffers = new FreedBuffers;  // outlives every static buffer
  return *buffers;
}

}  // namespace

void AlignedBuffer::Free::operator()(std::byte* p) const {
  capacity < kLeastKept ? std::free(p) : freedBuffers().give(p, capacity);
}

AlignedBuffer::AlignedBuffer(size_t size) : size_(size) {
  size_t capacity = capacityFor(size);
  if (capacity == 0) return;
  front_ = capacity < kLeastKept ? 0 : kFrontRoom;
  capacity += front_;
  std::byte* memory = capacity < kLeastKept ? nullptr : freedBuffers().take(capacity);
  if (!memory) memory = static_cast<std::byte*>(std::aligned_alloc(kAlignment, capacity));
  SPOLIA_CHECK(memory != nullptr);
  data_ = std::unique_ptr<std::byte, Free>(memory, Free{capacity});
}

AlignedBuffer AlignedBuffer::zeroed(size_t size) {
  AlignedBuffer buffer(size);
  if (buffer.capacity() > 0) std::memset(buffer.data(), 0, buffer.capacity());
  return buffer;
}

AlignedBuffer AlignedBuffer::copyOf(std::span<const std::byte> data) {
  AlignedBuffer buffer(data.size());
  if (!data.empty()) std::memcpy(buffer.data(), data.data(), data.size());
  return buffer;
}

void AlignedBuffer::resizeWithin(size_t size) {
  SPOLIA_CHECK(size <= capacity());
  size_ = size;
}

void AlignedBuffer::dropFront(size_t bytes) {
  SPOLIA_CHECK(bytes <= size_ && bytes % kAlignment == 0);
  front_ += bytes;
  size_ -= bytes;
}

bool AlignedBuffer::growFront(size_t bytes) {
  SPOLIA_CHECK(bytes % kAlignment == 0);
  if (bytes > front_) return false;
  front_ -= bytes;
  size_ += bytes;
  return true;
}

}  // namespace spolia
