#include "bench/codec/baselines/range_coder.h"

#include <algorithm>
#include <utility>

#include "codec/base/check.h"

namespace spolia::bench {

namespace {

constexpr uint32_t kLeastRange = 1u << 24;

// The part's range. The last part takes what the division leaves over.
uint32_t rangeOfPart(uint32_t range, uint32_t start, uint32_t frequency) {
  const uint32_t unit = range >> kProbabilityBits;
  return start + frequency == kProbabilityTotal ? range - unit * start : unit * frequency;
}

}  // namespace

void RangeEncoder::encode(uint32_t start, uint32_t frequency) {
  SPOLIA_DCHECK(frequency > 0 && start + frequency <= kProbabilityTotal);
  low_ += uint64_t{range_ >> kProbabilityBits} * start;
  range_ = rangeOfPart(range_, start, frequency);
  while (range_ < kLeastRange) {
    range_ <<= 8;
    shiftOut();
  }
}

void RangeEncoder::bits(uint32_t value, unsigned count) {
  encode(value << (kProbabilityBits - count), 1u << (kProbabilityBits - count));
}

// Moves the top byte of low_ out. A byte 255 stays held back: a later carry would go through it.
void RangeEncoder::shiftOut() {
  const bool carry = low_ >> 32 != 0;
  if (carry || static_cast<uint32_t>(low_) < 0xff000000u) {
    out_.push_back(static_cast<std::byte>(held_ + (carry ? 1 : 0)));
    for (; heldCount_ > 1; --heldCount_) out_.push_back(static_cast<std::byte>(carry ? 0 : 0xff));
    held_ = static_cast<uint8_t>(low_ >> 24);
  } else {
    ++heldCount_;
  }
  low_ = (low_ & 0x00ffffff) << 8;
}

// Any number within the last range will do: the one with most zeros at its end, which are left out.
Bytes RangeEncoder::finish() {
  const uint64_t end = low_ + range_;
  for (unsigned zeros = 32; zeros-- > 0;) {
    const uint64_t rounded = (low_ + (uint64_t{1} << zeros) - 1) >> zeros << zeros;
    if (rounded < end) {
      low_ = rounded;
      break;
    }
  }
  for (int i = 0; i < 5; ++i) shiftOut();
  out_.erase(out_.begin());  // what was held before the first byte
  while (!out_.empty() && out_.back() == std::byte{0}) out_.pop_back();
  return std::move(out_);
}

RangeDecoder::RangeDecoder(ByteSpan data) : data_(data) {
  for (int i = 0; i < 4; ++i) code_ = code_ << 8 | nextByte();
}

uint32_t RangeDecoder::slot() const {
  return std::min(code_ / (range_ >> kProbabilityBits), kProbabilityTotal - 1);
}

void RangeDecoder::consume(uint32_t start, uint32_t frequency) {
  code_ -= (range_ >> kProbabilityBits) * start;
  range_ = rangeOfPart(range_, start, frequency);
  while (range_ < kLeastRange) {
    range_ <<= 8;
    code_ = code_ << 8 | nextByte();
  }
}

uint32_t RangeDecoder::bits(unsigned count) {
  const uint32_t value = slot() >> (kProbabilityBits - count);
  consume(value << (kProbabilityBits - count), 1u << (kProbabilityBits - count));
  return value;
}

SymbolTable::SymbolTable(std::span<const uint32_t> counts, double smoothing) {
  const size_t n = counts.size();
  SPOLIA_CHECK(n > 0 && n < kProbabilityTotal / 2);
  double sum = 0;
  for (const uint32_t count : counts) sum += count + smoothing;
  SPOLIA_CHECK(sum > 0);
  const double scale = static_cast<double>(kProbabilityTotal - n) / sum;
  std::vector<uint32_t> frequencies(n);
  uint32_t total = 0;
  for (size_t i = 0; i < n; ++i) {
    frequencies[i] = 1 + static_cast<uint32_t>(scale * (counts[i] + smoothing));
    total += frequencies[i];
  }
  // Rounding down has left a few over, and rounding errors of doubles do not add up to one.
  *std::ranges::max_element(frequencies) += kProbabilityTotal - total;
  starts_.assign(1, 0);
  for (const uint32_t frequency : frequencies) starts_.push_back(starts_.back() + frequency);
}

uint32_t SymbolTable::decode(RangeDecoder& in) const {
  const uint32_t slot = in.slot();
  const auto next = std::upper_bound(starts_.begin() + 1, starts_.end() - 1, slot);
  const auto symbol = static_cast<uint32_t>(next - starts_.begin()) - 1;
  in.consume(starts_[symbol], starts_[symbol + 1] - starts_[symbol]);
  return symbol;
}

}  // namespace spolia::bench
