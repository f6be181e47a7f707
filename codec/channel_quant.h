// The frame coding of `high`: 8 bits a value, a step and an offset per channel, one symbol block.
// Specified in codec/FORMAT.md ("Eight bits per channel"). Any thread.
#pragma once

#include <cstdint>

#include "codec/base/bytes.h"
#include "codec/base/result.h"
#include "codec/values/plane_rows.h"

namespace spolia::codec {

// Appends one plane of `tokens` tokens. kInvalidArgument when a value is not finite.
Status writeChannelQuant(const PlaneRows<const std::byte>& rows, LayerShape shape, uint32_t tokens,
                         ByteWriter& out);

// Reads one plane. kCorrupt when malformed.
Status readChannelQuant(ByteReader& in, const PlaneWrite& to);
// Passes over one plane; kCorrupt when it is cut off.
Status skipChannelQuant(ByteReader& in, LayerShape shape);

}  // namespace spolia::codec
