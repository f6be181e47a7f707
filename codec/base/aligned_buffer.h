// Owned memory aligned for O_DIRECT and SIMD (4 KiB). Moves, never copies silently.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

namespace spolia {

class AlignedBuffer {
 public:
  static constexpr size_t kAlignment = 4096;

  AlignedBuffer() = default;
  // `size` bytes, not initialised; the capacity is rounded up to kAlignment.
  explicit AlignedBuffer(size_t size);
  static AlignedBuffer zeroed(size_t size);
  static AlignedBuffer copyOf(std::span<const std::byte> data);

  std::byte* data() { return data_.get(); }
  const std::byte* data() const { return data_.get(); }
  size_t size() const { return size_; }
  size_t capacity() const { return capacity_; }
  bool empty() const { return size_ == 0; }
  std::span<std::byte> span() { return {data_.get(), size_}; }
  std::span<const std::byte> span() const { return {data_.get(), size_}; }
  // Makes size() smaller or as large as capacity(); the bytes stay.
  void resizeWithin(size_t size);

 private:
  struct Free {
    void operator()(std::byte* p) const;
  };
  std::unique_ptr<std::byte, Free> data_;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

}  // namespace spolia
