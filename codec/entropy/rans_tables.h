// Frequency tables of the rANS coder: constants, normalising, the compact serial form and the
// decoder's lookup table. codec/FORMAT.md ("Entropy coding") is the specification. Pure values; any
// thread. A table read from bytes is validated: whatever readFrequencies() accepts is safe to
// decode with.
#pragma once

#include <array>
#include <cstdint>

#include "codec/base/bytes.h"
#include "codec/base/result.h"
#include "codec/entropy/histogram.h"

namespace spolia::codec {

inline constexpr uint32_t kRansProbabilityBits = 12;
inline constexpr uint32_t kRansProbabilityTotal = 1u << kRansProbabilityBits;
// Symbol i belongs to lane i % kRansLanes. 32 = 4 AVX2 or 2 AVX-512 vectors of states.
inline constexpr uint32_t kRansLanes = 32;
// States live in [kRansStateFloor, 2^32) and are refilled by 16-bit words.
inline constexpr uint32_t kRansStateFloor = 1u << 16;

// Of each byte symbol, in units of 1 / kRansProbabilityTotal; they sum to kRansProbabilityTotal.
struct FrequencyTable {
  std::array<uint16_t, 256> frequency{};

  bool operator==(const FrequencyTable&) const = default;
};

// Frequencies proportional to `counts`, at least 1 for every symbol that occurs. At least one
// count is not zero.
FrequencyTable normalise(const SymbolCounts& counts);

// Bits that coding symbols of these counts takes with this table, lane states not included. Every
// symbol that occurs has a frequency.
double codedBits(const SymbolCounts& counts, const FrequencyTable& table);

void writeFrequencies(const FrequencyTable& table, ByteWriter& out);
// kCorrupt when the bytes are too few or the frequencies do not sum up.
Result<FrequencyTable> readFrequencies(ByteReader& in);

// What a state's low 12 bits say: symbol | (slot - start) << 8 | (frequency - 1) << 20.
using DecodeTable = std::array<uint32_t, kRansProbabilityTotal>;
void buildDecodeTable(const FrequencyTable& table, DecodeTable& out);

}  // namespace spolia::codec
