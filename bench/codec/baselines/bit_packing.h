// Numbers of a few bits each in bytes, least significant bit first, and fp16 numbers among them.
// One thread.
#pragma once

#include <algorithm>
#include <cstdint>

#include "codec/base/bytes.h"
#include "codec/values/half.h"

namespace spolia::bench {

class BitWriter {
 public:
  // bits <= 32; value < 2^bits.
  void put(uint32_t value, unsigned bits) {
    waiting_ |= uint64_t{value} << count_;
    for (count_ += bits; count_ >= 8; count_ -= 8, waiting_ >>= 8) {
      out_.push_back(static_cast<std::byte>(waiting_));
    }
  }
  // Rounded to fp16; gives what will be read.
  float putHalf(float value) {
    const uint16_t half = codec::f16FromF32(std::clamp(value, -codec::kMaxF16, codec::kMaxF16));
    put(half, 16);
    return codec::f32FromF16(half);
  }
  // Filled up to a byte with zeros.
  Bytes finish() {
    if (count_ > 0) out_.push_back(static_cast<std::byte>(waiting_));
    waiting_ = 0, count_ = 0;
    return std::move(out_);
  }

 private:
  Bytes out_;
  uint64_t waiting_ = 0;
  unsigned count_ = 0;  // bits in waiting_, below 8 between calls
};

// Past the end of the bytes there are zeros.
class BitReader {
 public:
  explicit BitReader(ByteSpan data) : data_(data) {}

  uint32_t get(unsigned bits) {
    for (; count_ < bits; count_ += 8) {
      const uint64_t byte = at_ < data_.size() ? static_cast<uint64_t>(data_[at_]) : 0;
      waiting_ |= byte << count_;
      ++at_;
    }
    const auto value = static_cast<uint32_t>(waiting_ & ((uint64_t{1} << bits) - 1));
    waiting_ >>= bits, count_ -= bits;
    return value;
  }
  float getHalf() { return codec::f32FromF16(static_cast<uint16_t>(get(16))); }

 private:
  ByteSpan data_;
  size_t at_ = 0;
  uint64_t waiting_ = 0;
  unsigned count_ = 0;
};

}  // namespace spolia::bench
