// One passage's KV as schemes compress it and the judge replaces it. Value types; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "codec/chunk_identity.h"
#include "codec/kv_layout.h"

namespace spolia::bench {

// All layers have one shape.
struct KvShape {
  uint32_t layers = 0;
  uint32_t kvHeads = 0;
  uint32_t headDim = 0;

  size_t channels() const { return size_t{kvHeads} * headDim; }
  // Values of one token: [layer][K, V][channel]. One of these places is a column of a sample.
  size_t columns() const { return layers * 2 * channels(); }
  bool operator==(const KvShape&) const = default;
};

// Where a column lies.
struct ColumnPlace {
  uint32_t layer;
  codec::Plane plane;
  uint32_t channel;
};
inline ColumnPlace placeOf(const KvShape& shape, size_t column) {
  const size_t plane = column / shape.channels();
  return {static_cast<uint32_t>(plane / 2), plane % 2 == 0 ? codec::Plane::kK : codec::Plane::kV,
          static_cast<uint32_t>(column % shape.channels())};
}

struct KvSample {
  std::vector<codec::TokenId> tokens;
  // [token][layer][K, V][channel], K before RoPE. Every value is exactly an fp16: what is stored
  // is the fp16 cache, and 16 bits a value are what sizes are compared with.
  std::vector<float> values;
};

// Memory in a sample's order, from layer `layer` on, as the engine and the codec address it.
// `Byte` may be const.
template <typename Byte>
codec::BasicKvMemory<Byte> sampleMemory(Byte* values, codec::ElementType type, const KvShape& shape,
                                        uint32_t layer = 0) {
  const auto element = static_cast<ptrdiff_t>(codec::elementSize(type));
  const auto plane = static_cast<ptrdiff_t>(shape.channels()) * element;
  return {values + layer * 2 * plane,
          2 * plane,
          plane,
          static_cast<ptrdiff_t>(shape.headDim) * element,
          static_cast<ptrdiff_t>(shape.columns()) * element,
          type};
}

}  // namespace spolia::bench
