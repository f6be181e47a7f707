// Owned memory aligned for O_DIRECT and SIMD (4 KiB). Moves, never copies silently.
//
// Long buffers come from the process's BufferArena, which keeps pages: to make, zero and give back
// fresh ones takes as long as to read them from a disk. They have room in front, so that a header
// can be put before what is written. A value; one thread.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

namespace spolia {

class AlignedBuffer {
 public:
  static constexpr size_t kAlignment = 4096;

  AlignedBuffer() = default;
  // Long is from so many bytes on.
  static constexpr size_t kLeastLong = 128 << 10;

  // What a long buffer has in front.
  static constexpr size_t kFrontRoom = kAlignment;

  // `size` bytes, not initialised; the capacity is rounded up to kAlignment, from kLeastLong on to
  // an eighth of the power of two below it.
  explicit AlignedBuffer(size_t size);
  static AlignedBuffer zeroed(size_t size);
  static AlignedBuffer copyOf(std::span<const std::byte> data);

  std::byte* data() { return data_.get() + front_; }
  const std::byte* data() const { return data_.get() + front_; }
  size_t size() const { return size_; }
  size_t capacity() const { return data_.get_deleter().capacity - front_; }
  bool empty() const { return size_ == 0; }
  std::span<std::byte> span() { return {data(), size_}; }
  std::span<const std::byte> span() const { return {data(), size_}; }
  // Makes size() smaller or as large as capacity(); the bytes stay.
  void resizeWithin(size_t size);
  // The first `bytes`, a multiple of kAlignment and no more than size(), are part of it no longer;
  // nothing is copied.
  void dropFront(size_t bytes);
  // So many bytes in front of it, a multiple of kAlignment, become part of it; what they hold is
  // not defined. False, and nothing is changed: there are fewer.
  bool growFront(size_t bytes);

 private:
  struct Free {
    size_t capacity;
    void operator()(std::byte* p) const;
  };
  std::unique_ptr<std::byte, Free> data_;
  size_t front_ = 0;  // where it begins in data_
  size_t size_ = 0;
};

}  // namespace spolia
