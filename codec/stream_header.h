// Writing of stream headers, and what header, frames and codec.h share: limits and checksum seeds.
// Reading is parseHeader() of codec.h. codec/FORMAT.md ("Header") is the specification. Any thread.
#pragma once

#include <cstdint>
#include <string_view>

#include "codec/codec.h"
#include "codec/values/layer_shapes.h"

namespace spolia::codec {

inline constexpr std::string_view kStreamMagic = "SPOLIAKV";
inline constexpr uint16_t kStreamVersion = 1;
inline constexpr uint8_t kMaxLevels = 16;

// What the checksum of part `index` of a stream is seeded with: right bytes in a wrong place fail.
// Parts are the frames, and from kSideSectionPart on the side sections.
uint64_t partSeed(const ChunkId& id, uint64_t index);
inline constexpr uint64_t kSideSectionPart = uint64_t{1} << 32;

// Which frame stands at an index of the table.
struct FramePlace {
  uint32_t level = 0;
  uint32_t group = 0;       // into header.planeGroups
  uint32_t tokenBegin = 0;  // of its token group
  uint32_t tokenEnd = 0;
};
// `index` < header.frames.size().
FramePlace placeOf(const StreamHeader& header, uint32_t index);

// The header's bytes. Sets headerBytes, streamBytes and the offsets of frames and side sections
// from their sizes. kInvalidArgument when it would exceed kMaxHeaderBytes.
Result<Bytes> writeHeader(StreamHeader& header);

}  // namespace spolia::codec
