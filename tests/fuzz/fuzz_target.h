// What fuzz targets share: the entry point that libFuzzer and the driver of our own call, a check
// that ends the run, and a reader that turns any bytes into decisions.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "codec/base/bytes.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

#define FUZZ_CHECK(condition)                                                                 \
  do {                                                                                        \
    if (!(condition)) {                                                                       \
      std::fprintf(stderr, "%s:%d: FUZZ_CHECK failed: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                           \
    }                                                                                         \
  } while (false)

namespace spolia::fuzz {

// Decisions from the input's front; zeros when it is used up.
class Choices {
 public:
  Choices(const uint8_t* data, size_t size)
      : in_(ByteSpan(reinterpret_cast<const std::byte*>(data), size)) {}

  template <typename T = uint8_t>
  T any() {
    return in_.read<T>();
  }
  // 1 to `limit`.
  uint32_t upTo(uint32_t limit) { return 1 + any<uint16_t>() % limit; }
  bool ended() const { return in_.remaining() == 0; }
  ByteSpan rest() { return in_.bytes(in_.remaining()); }

 private:
  ByteReader in_;
};

}  // namespace spolia::fuzz
