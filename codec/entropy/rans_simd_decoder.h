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

// A DecodeTable with room for what the last step writes too much. Never changes once built: any
// thread may read it.
class RansDecodeTable {
 public:
  RansDecodeTable() = default;
  explicit RansDecodeTable(const FrequencyTable& table) { build(table); }
  void build(const FrequencyTable& table);
  const uint32_t* entries() const { return entries_.data(); }

 private:
  std::array<uint32_t, kRansProbabilityTotal + kSlotStep> entries_;
};

// Decodes one payload, in pieces of any length; pieces of whole rounds of kRansLanes symbols are
// the fast ones. Any payload and any table that readFrequencies() gave are safe. Reads the payload
// and the tables it was given, which outlive it. Allocates nothing. One thread.
class RansSimdDecoder {
 public:
  // kCorrupt when the payload lacks its states, has half a word, or a state below the floor.
  Status start(ByteSpan payload);
  // What symbols are decoded by from here on; before the first one.
  void use(const RansDecodeTable& table) { table_ = table.entries(); }
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
  const uint32_t* table_ = nullptr;  // a DecodeTable
  const std::byte* next_ = nullptr;
  const std::byte* end_ = nullptr;
  uint32_t lane_ = 0;  // of the next symbol
  bool exhausted_ = false;
};

// The decoder of payloads that have one table, which it builds: the interface of RansDecoder.
class RansBlockDecoder {
 public:
  Status start(ByteSpan payload, const FrequencyTable& table) {
    table_.build(table);
    decoder_.use(table_);
    return decoder_.start(payload);
  }
  void decode(std::span<uint8_t> out) { decoder_.decode(out); }
  bool finished() const { return decoder_.finished(); }

 private:
  RansDecodeTable table_;
  RansSimdDecoder decoder_;
};

}  // namespace spolia::codec
