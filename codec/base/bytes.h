// Little-endian reading and writing with bounds: every format of ours goes through these two.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace spolia {

static_assert(std::endian::native == std::endian::little,
              "formats are little-endian and copied as they stand");

using ByteSpan = std::span<const std::byte>;
using MutableByteSpan = std::span<std::byte>;
using Bytes = std::vector<std::byte>;

constexpr size_t roundUp(size_t size, size_t step) {
  return (size + step - 1) / step * step;
}

inline ByteSpan asBytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}
inline std::string_view asText(ByteSpan bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline Bytes toBytes(ByteSpan bytes) {
  return Bytes(bytes.begin(), bytes.end());
}

// Reads from a span it does not own. After the first read past the end ok() is false for good and
// every read gives zeros or an empty span: check once, at the end. One thread.
class ByteReader {
 public:
  explicit ByteReader(ByteSpan data) : rest_(data) {}

  template <typename T>
  T read() {
    static_assert(std::is_trivially_copyable_v<T>);
    T value{};
    ByteSpan from = bytes(sizeof(T));
    if (from.size() == sizeof(T)) std::memcpy(&value, from.data(), sizeof(T));
    return value;
  }
  uint8_t u8() { return read<uint8_t>(); }
  uint16_t u16() { return read<uint16_t>(); }
  uint32_t u32() { return read<uint32_t>(); }
  uint64_t u64() { return read<uint64_t>(); }

  // The next `count` bytes, or an empty span and !ok().
  ByteSpan bytes(size_t count) {
    if (!ok_ || count > rest_.size()) {
      ok_ = false;
      return {};
    }
    ByteSpan out = rest_.first(count);
    rest_ = rest_.subspan(count);
    return out;
  }
  void skip(size_t count) { bytes(count); }

  size_t remaining() const { return rest_.size(); }
  bool ok() const { return ok_; }
  // True when every read succeeded and nothing is left.
  bool finished() const { return ok_ && rest_.empty(); }

 private:
  ByteSpan rest_;
  bool ok_ = true;
};

// Appends to a vector it owns. One thread.
class ByteWriter {
 public:
  template <typename T>
  void write(const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    bytes(ByteSpan(reinterpret_cast<const std::byte*>(&value), sizeof(T)));
  }
  void u8(uint8_t v) { write(v); }
  void u16(uint16_t v) { write(v); }
  void u32(uint32_t v) { write(v); }
  void u64(uint64_t v) { write(v); }
  void bytes(ByteSpan data) { out_.insert(out_.end(), data.begin(), data.end()); }
  void zeros(size_t count) { out_.resize(out_.size() + count); }

  size_t size() const { return out_.size(); }
  // Overwrites what was written at `offset`; it lies inside.
  template <typename T>
  void patch(size_t offset, const T& value) {
    std::memcpy(out_.data() + offset, &value, sizeof(T));
  }
  ByteSpan view() const { return out_; }
  Bytes take() { return std::move(out_); }

 private:
  Bytes out_;
};

}  // namespace spolia
