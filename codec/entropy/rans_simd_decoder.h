// The rANS decoder on vectors of lanes: the symbols, verdicts and interface of RansDecoder
// (codec/entropy/rans_scalar.h), also for payloads that are corrupt. Which instructions it uses:
// codec/entropy/simd_targets.h.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "codec/base/bytes.h"
#include "codec/base/result.h"
#include "codec/entropy/rans_tables.h"

namespace spolia::codec {

// Entries of the decode table that are written at a time.
inline constexpr uint32_t kSlotStep = 8;

// Decodes one payload, in pieces of any length; pieces of whole rounds of kRansLanes symbols are
// the fast ones. Any payload and any table that readFrequencies() gave are safe. Reads the payload
// it was given, which outlives it. Allocates nothing. One thread.
class RansSimdDecoder {
 public:
  // kCorrupt when the payload lacks its states, has half a word, or a state below the floor.
  Status start(ByteSpan payload, const FrequencyTable& table);
  // The next out.size() symbols. Words past the payload's end are taken as 0.
  void decode(std::span<uint8_t> out);
  // Whether exactly the words of the payload were used and every lane ended where encoding began:
  // true after the last symbol of an intact payload.
  bool finished() const;

 private:
  void decodeRounds(uint8_t* out, size_t rounds);
  void decodeLastWords(uint8_t* out);
  uint8_t decodeOne();

  std::array<uint32_t, kRansLanes> state_{};
  std::array<uint32_t, kRansProbabilityTotal + kSlotStep> table_;  // a DecodeTable
  const std::byte* next_ = nullptr;
  const std::byte* end_ = nullptr;
  uint32_t lane_ = 0;  // of the next symbol
  bool exhausted_ = false;
};

}  // namespace spolia::codec
