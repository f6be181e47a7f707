// A range coder with 16-bit probabilities: one run codes symbols of any number of tables, which
// change with every symbol. For baselines with a table for each layer and channel; the project's
// own coder, 32 lanes of byte symbols and one table a block, would do them an injustice.
//
// A symbol of frequency f of 2^16 takes 16 - log2(f) bits; the whole stream 1 to 2 bytes more. One
// thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "codec/base/bytes.h"

namespace spolia::bench {

inline constexpr unsigned kProbabilityBits = 16;
inline constexpr uint32_t kProbabilityTotal = 1u << kProbabilityBits;

class RangeEncoder {
 public:
  // The part [start, start + frequency) of the probabilities; frequency > 0.
  void encode(uint32_t start, uint32_t frequency);
  // count <= 16; value < 2^count. Every value alike.
  void bits(uint32_t value, unsigned count);
  Bytes finish();

 private:
  void shiftOut();

  uint64_t low_ = 0;  // below 2^33: bit 32 is a carry into what is held back
  uint32_t range_ = UINT32_MAX;
  uint8_t held_ = 0;  // a byte a carry may still change, and the number of bytes 255 behind it
  uint64_t heldCount_ = 1;
  Bytes out_;
};

// Past the end of the bytes there are zeros: any bytes give symbols.
class RangeDecoder {
 public:
  explicit RangeDecoder(ByteSpan data);

  // Which probability the next symbol's part contains; then that part, to go on.
  uint32_t slot() const;
  void consume(uint32_t start, uint32_t frequency);
  uint32_t bits(unsigned count);

 private:
  uint32_t nextByte() { return at_ < data_.size() ? static_cast<uint32_t>(data_[at_++]) : 0; }

  ByteSpan data_;
  size_t at_ = 0;
  uint32_t code_ = 0;
  uint32_t range_ = UINT32_MAX;
};

// Symbols 0 .. n - 1, each with a frequency of at least 1, so that one never seen costs bits and
// not a failure. n < 2^15.
class SymbolTable {
 public:
  SymbolTable() = default;
  // Frequencies proportional to count + smoothing; not all zero.
  SymbolTable(std::span<const uint32_t> counts, double smoothing);
  // From the starts of all symbols and the total, as starts() gives them.
  explicit SymbolTable(std::vector<uint32_t> starts) : starts_(std::move(starts)) {}

  size_t symbols() const { return starts_.size() - 1; }
  const std::vector<uint32_t>& starts() const { return starts_; }

  void encode(uint32_t symbol, RangeEncoder& out) const {
    out.encode(starts_[symbol], starts_[symbol + 1] - starts_[symbol]);
  }
  uint32_t decode(RangeDecoder& in) const;

 private:
  std::vector<uint32_t> starts_;  // [n + 1], from 0 to kProbabilityTotal
};

}  // namespace spolia::bench
