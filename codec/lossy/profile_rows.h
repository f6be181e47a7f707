// The rows of a profile's maps and bases as its bytes have them: small signed integers, entropy
// coded. Specified in codec/FORMAT.md ("Profiles"). Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "codec/base/bytes.h"
#include "codec/base/result.h"

namespace spolia::codec {

// Bytes that rows may still take when read: a coded one may hold any number of equal symbols.
class RowBudget {
 public:
  // Of a profile of so many bytes.
  explicit RowBudget(size_t profileBytes)
      : left_(kLeastBytes + kBytesPerByte * uint64_t{profileBytes}) {}
  // False when there are not as many left.
  bool take(uint64_t bytes) {
    if (bytes > left_) return false;
    left_ -= bytes;
    return true;
  }

 private:
  static constexpr uint64_t kLeastBytes = 4 << 20;
  static constexpr uint64_t kBytesPerByte = 16;

  uint64_t left_;
};

// Appends rows of `channels` values each.
void writeRows(const std::vector<int8_t>& rows, uint32_t channels, ByteWriter& out);
// Reads `count` rows. kCorrupt when malformed, or beyond the budget.
Status readRows(ByteReader& in, uint64_t count, uint32_t channels, RowBudget& budget,
                std::vector<int8_t>& rows);

}  // namespace spolia::codec
