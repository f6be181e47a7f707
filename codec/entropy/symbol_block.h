// A symbol block: a known number of byte symbols, stored as they are, as one value, or entropy
// coded, whichever is smallest. Specified in codec/FORMAT.md ("Symbol blocks").
#pragma once

#include <cstdint>
#include <span>

#include "codec/base/bytes.h"
#include "codec/base/result.h"
#include "codec/entropy/rans_simd_decoder.h"

namespace spolia::codec {

void writeSymbolBlock(std::span<const uint8_t> symbols, ByteWriter& out);

// Passes over one block without decoding it; false when it is cut off.
bool skipSymbolBlock(ByteReader& in);

// Reads one block in pieces. The bytes it was opened on outlive it. Allocates nothing. One thread.
class SymbolReader {
 public:
  // Takes one block of `count` symbols from `in`. kCorrupt when it is malformed.
  Status open(ByteReader& in, uint64_t count);
  // The next out.size() symbols; in all at most the count.
  void read(std::span<uint8_t> out);
  // After the last symbol: kCorrupt when the coded bytes do not end as they should.
  Status finish() const;

 private:
  enum class Mode : uint8_t { kRaw, kConstant, kRans };

  Mode mode_ = Mode::kRaw;
  uint8_t constant_ = 0;
  ByteSpan raw_;
  RansBlockDecoder rans_;
};

}  // namespace spolia::codec
