// Probabilities of whole numbers around zero, learnt beforehand; a number outside what was seen is
// escaped and costs bits, not a failure. Never changes; any thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "bench/codec/baselines/range_coder.h"

namespace spolia::bench {

class SignedTable {
 public:
  SignedTable() = default;
  explicit SignedTable(std::span<const int32_t> seen) {
    for (const int32_t value : seen) limit_ = std::max(limit_, std::abs(value));
    limit_ = std::min(limit_, kMostLimit);
    std::vector<uint32_t> counts(2 * static_cast<size_t>(limit_) + 2);
    for (const int32_t value : seen) ++counts[symbolOf(value)];
    table_ = SymbolTable(counts, kSmoothing);
  }

  // Numbers beyond 16 bits become the nearest within.
  void encode(int32_t value, RangeEncoder& out) const {
    const uint32_t symbol = symbolOf(value);
    table_.encode(symbol, out);
    if (symbol != escape()) return;
    out.bits(static_cast<uint32_t>(std::clamp(value, -kBias, kBias - 1) + kBias), 16);
  }
  int32_t decode(RangeDecoder& in) const {
    const uint32_t symbol = table_.decode(in);
    if (symbol == escape()) return static_cast<int32_t>(in.bits(16)) - kBias;
    return static_cast<int32_t>(symbol) - limit_;
  }

 private:
  // A table of this width in a column of a fine scale is flat already.
  static constexpr int32_t kMostLimit = 1000;
  static constexpr int32_t kBias = 1 << 15;
  static constexpr double kSmoothing = 0.05;

  uint32_t escape() const { return 2 * static_cast<uint32_t>(limit_) + 1; }
  uint32_t symbolOf(int32_t value) const {
    return std::abs(value) > limit_ ? escape() : static_cast<uint32_t>(value + limit_);
  }

  int32_t limit_ = 0;
  SymbolTable table_;  // -limit .. limit, escape
};

}  // namespace spolia::bench
