// The frame coding of `lossless`: elements split into byte planes, each its own symbol block.
// Specified in codec/FORMAT.md ("Byte planes"). Any thread.
#pragma once

#include <cstdint>

#include "codec/base/bytes.h"
#include "codec/base/result.h"
#include "codec/values/plane_rows.h"

namespace spolia::codec {

// Appends one plane of `tokens` tokens.
void writeBytePlanes(const PlaneRows<const std::byte>& rows, LayerShape shape, uint32_t tokens,
                     ByteWriter& out);

// Reads one plane of elements of type `stored`. kCorrupt when malformed; kInvalidArgument when the
// target's element type cannot hold the values exactly.
Status readBytePlanes(ByteReader& in, ElementType stored, const PlaneWrite& to);
// Passes over one plane; kCorrupt when it is cut off.
Status skipBytePlanes(ByteReader& in, ElementType stored, LayerShape shape);

}  // namespace spolia::codec
