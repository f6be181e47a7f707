// The KV shapes of a model's layers as they stand in streams and profiles: runs of equal layers.
// Specified in codec/FORMAT.md ("Header", layers). Any thread.
#pragma once

#include <cstdint>
#include <vector>

#include "codec/base/bytes.h"
#include "codec/base/result.h"
#include "codec/kv_layout.h"

namespace spolia::codec {

inline constexpr uint32_t kMaxLayers = 1024;
// Of one plane. With it a decoder's scratch is bounded: one row of four bytes a channel.
inline constexpr uint32_t kMaxChannels = 16384;

void writeShapes(const std::vector<LayerShape>& layers, ByteWriter& out);
// kCorrupt, with what was expected; within the limits above.
Status readShapes(ByteReader& in, std::vector<LayerShape>& layers);

}  // namespace spolia::codec
