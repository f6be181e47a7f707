// The rows of one plane in somebody's memory, by (head, token): what frame codings read and write.
// Value types; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "codec/base/bytes.h"
#include "codec/kv_layout.h"
#include "codec/values/half.h"

namespace spolia::codec {

// Channels whose steps stand together, token by token, in scaled channels.
inline constexpr uint32_t kStepGroup = 4;

// `base` is the row of head 0 and the first token; the caller vouches for the extent.
template <typename Byte>
struct PlaneRows {
  Byte* base = nullptr;
  ptrdiff_t headStride = 0;
  ptrdiff_t tokenStride = 0;
  ElementType type = ElementType::kF32;

  Byte* row(uint32_t head, uint32_t token) const {
    return base + head * headStride + token * tokenStride;
  }
};

// Where one plane of a frame goes: of its `frameTokens` tokens those of [begin, end); row 0 of
// `rows` is token `begin`.
struct PlaneWrite {
  LayerShape shape;
  uint32_t frameTokens = 0;
  uint32_t begin = 0;
  uint32_t end = 0;
  PlaneRows<std::byte> rows;
};

// Tokens that a decoder works on at a time: enough to make loops long, few enough for the cache.
inline uint32_t sliceTokens(const LayerShape& shape) {
  return shape.channels() >= 8192 ? 1 : 8192 / shape.channels();
}

}  // namespace spolia::codec
