// The rANS encoder on vectors of lanes: the bytes of ransEncode() (codec/entropy/rans_scalar.h),
// without its divisions. Which instructions it uses: codec/entropy/simd_targets.h. Any thread.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "codec/base/bytes.h"
#include "codec/entropy/rans_reciprocal.h"
#include "codec/entropy/rans_tables.h"

namespace spolia::codec {

// A frequency table in the form the encoder works with: of symbol s the entry s. Symbols without a
// frequency have none. Never changes once built: any thread may read it.
class RansEncodeTable {
 public:
  RansEncodeTable() = default;
  explicit RansEncodeTable(const FrequencyTable& table);
  const std::array<RansReciprocal, 256>& entries() const { return entries_; }

 private:
  std::array<RansReciprocal, 256> entries_{};
};

// Appends the payload of `symbols`, each of which has a frequency in `table`.
void ransSimdEncode(std::span<const uint8_t> symbols, const FrequencyTable& table, ByteWriter& out);

// The next `count` symbols of a payload that are coded by one table.
struct RansRun {
  size_t count = 0;
  const RansEncodeTable* table = nullptr;
};
// One payload of symbols under several tables, in order; the runs' counts add up to the symbols.
void ransSimdEncode(std::span<const uint8_t> symbols, std::span<const RansRun> runs,
                    ByteWriter& out);

}  // namespace spolia::codec
