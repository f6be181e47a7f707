// Where KV values lie in memory and which part of a chunk is meant: the only things the codec needs
// to know about an engine. Value types; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "codec/base/result.h"

namespace spolia::codec {

// Element types of KV pages. The numbers stand in stream headers.
enum class ElementType : uint8_t { kF32 = 0, kF16 = 1, kBf16 = 2 };

constexpr size_t elementSize(ElementType type) {
  return type == ElementType::kF32 ? 4 : 2;
}
// "f32", "f16", "bf16".
std::string_view elementTypeName(ElementType type);
Result<ElementType> elementTypeFromName(std::string_view name);

// Which of the two tensors of a layer.
enum class Plane : uint8_t { kK = 0, kV = 1 };

// KV shape of one layer: a token has kvHeads * headDim channels in K and as many in V.
struct LayerShape {
  uint32_t kvHeads = 0;
  uint32_t headDim = 0;

  uint32_t channels() const { return kvHeads * headDim; }
  bool operator==(const LayerShape&) const = default;
};

// A box of a chunk: layers [layerBegin, layerEnd), tokens [tokenBegin, tokenEnd), levels
// 0..maxLevel.
struct KvRange {
  uint32_t layerBegin = 0;
  uint32_t layerEnd = UINT32_MAX;  // clipped to what the chunk has
  uint32_t tokenBegin = 0;
  uint32_t tokenEnd = UINT32_MAX;  // clipped to what the chunk has
  uint8_t maxLevel = UINT8_MAX;    // clipped to what the stream has

  bool operator==(const KvRange&) const = default;
};

// Memory of KV values, strides in bytes. The channels of one head are contiguous. The address of
// (layer, plane, head, token) is
//   base + (layer - range.layerBegin) * layerStride + plane * planeStride
//        + head * headStride + (token - range.tokenBegin) * tokenStride
// where `range` is the KvRange that goes with the memory in a call. The caller owns the memory and
// vouches for its extent.
template <typename Byte>
struct BasicKvMemory {
  Byte* base = nullptr;
  ptrdiff_t layerStride = 0;
  ptrdiff_t planeStride = 0;
  ptrdiff_t headStride = 0;
  ptrdiff_t tokenStride = 0;
  ElementType type = ElementType::kF32;

  // Indices relative to the range's begin.
  Byte* at(uint32_t layer, Plane plane, uint32_t head, uint32_t token) const {
    return base + layer * layerStride + static_cast<ptrdiff_t>(plane) * planeStride +
           head * headStride + token * tokenStride;
  }
};

// Written by decoding.
using KvTarget = BasicKvMemory<std::byte>;
// Read by encoding.
using KvView = BasicKvMemory<const std::byte>;

}  // namespace spolia::codec
