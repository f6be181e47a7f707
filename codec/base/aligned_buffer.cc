#include "codec/base/aligned_buffer.h"

#include <bit>
#include <cstdlib>
#include <cstring>

#include "codec/base/buffer_arena.h"
#include "codec/base/bytes.h"
#include "codec/base/check.h"

namespace spolia {

namespace {

size_t capacityFor(size_t size) {
  const size_t whole = roundUp(size, AlignedBuffer::kAlignment);
  return whole < AlignedBuffer::kLeastLong ? whole : roundUp(whole, std::bit_floor(whole) / 8);
}

}  // namespace

void AlignedBuffer::Free::operator()(std::byte* p) const {
  if (capacity < kLeastLong || !BufferArena::process().give(p, capacity)) std::free(p);
}

AlignedBuffer::AlignedBuffer(size_t size) : size_(size) {
  size_t capacity = capacityFor(size);
  if (capacity == 0) return;
  front_ = capacity < kLeastLong ? 0 : kFrontRoom;
  capacity += front_;
  std::byte* memory = capacity < kLeastLong ? nullptr : BufferArena::process().take(capacity);
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
