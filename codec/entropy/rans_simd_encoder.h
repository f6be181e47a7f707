// The rANS encoder on vectors of lanes: the bytes of ransEncode() (codec/entropy/rans_scalar.h),
// without its divisions. Which instructions it uses: codec/entropy/simd_targets.h. Any thread.
#pragma once

#include <cstdint>
#include <span>

#include "codec/base/bytes.h"
#include "codec/entropy/rans_tables.h"

namespace spolia::codec {

// Appends the payload of `symbols`, each of which has a frequency in `table`.
void ransSimdEncode(std::span<const uint8_t> symbols, const FrequencyTable& table, ByteWriter& out);

}  // namespace spolia::codec
