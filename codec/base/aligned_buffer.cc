#include "codec/base/aligned_buffer.h"

#include <cstdlib>
#include <cstring>

#include "codec/base/check.h"

namespace spolia {

void AlignedBuffer::Free::operator()(std::byte* p) const {
  std::free(p);
}

AlignedBuffer::AlignedBuffer(size_t size)
    : size_(size), capacity_((size + kAlignment - 1) / kAlignment * kAlignment) {
  if (capacity_ == 0) return;
  data_.reset(static_cast<std::byte*>(std::aligned_alloc(kAlignment, capacity_)));
  SPOLIA_CHECK(data_ != nullptr);
}

AlignedBuffer AlignedBuffer::zeroed(size_t size) {
  AlignedBuffer buffer(size);
  if (buffer.capacity_ > 0) std::memset(buffer.data(), 0, buffer.capacity_);
  return buffer;
}

AlignedBuffer AlignedBuffer::copyOf(std::span<const std::byte> data) {
  AlignedBuffer buffer(data.size());
  if (!data.empty()) std::memcpy(buffer.data(), data.data(), data.size());
  return buffer;
}

void AlignedBuffer::resizeWithin(size_t size) {
  SPOLIA_CHECK(size <= capacity_);
  size_ = size;
}

}  // namespace spolia
