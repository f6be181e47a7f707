// Symbol counts of byte symbols. Pure functions; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace spolia::codec {

using SymbolCounts = std::array<uint32_t, 256>;

// How often each byte value stands in `symbols`; fewer than 2^32 of them.
SymbolCounts countSymbols(std::span<const uint8_t> symbols);

}  // namespace spolia::codec
