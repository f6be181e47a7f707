// Interleaved rANS over byte symbols, plain C++: the reference every faster decoder must agree with
// byte for byte. Specified in codec/FORMAT.md ("Entropy coding").
//
// A payload = kRansLanes states (u32), then 16-bit words to the end. The lanes share one word
// sequence: lane after lane, whoever falls below the floor takes the next word.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "codec/base/bytes.h"
#include "codec/base/result.h"
#include "codec/entropy/rans_tables.h"

namespace spolia::codec {

// Appends the payload of `symbols`, each of which has a frequency in `table`.
void ransEncode(std::span<const uint8_t> symbols, const FrequencyTable& table, ByteWriter& out);

// Decodes one payload, in pieces of any length. Any payload and any table that readFrequencies()
// gave are safe: symbols past the payload's end are made up, and finished() then says false. Reads
// the payload it was given, which outlives it. One thread.
class RansDecoder {
 public:
  // kCorrupt when the payload lacks its states, has half a word, or a state below the floor.
  Status start(ByteSpan payload, const FrequencyTable& table);
  // The next out.size() symbols.
  void decode(std::span<uint8_t> out);
  // Whether exactly the words of the payload were used and every lane ended where encoding began:
  // true after the last symbol of an intact payload.
  bool finished() const;

 private:
  void decodeRounds(uint8_t* out, size_t rounds);
  uint8_t decodeOne();

  std::array<uint32_t, kRansLanes> state_{};
  const std::byte* next_ = nullptr;
  const std::byte* end_ = nullptr;
  uint32_t lane_ = 0;  // of the next symbol
  bool exhausted_ = false;
  DecodeTable table_;
};

}  // namespace spolia::codec
