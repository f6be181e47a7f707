#include "codec/entropy/rans_tables.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "codec/base/varint.h"

namespace spolia::codec {
namespace {

constexpr uint32_t kMaxOrder = 7;
// A zigzag delta is at most 2 * 4096, so no code has more leading zeros than this.
constexpr uint32_t kMaxLeadingZeros = 13;

// Bits, least significant first.
class BitWriter {
 public:
  explicit BitWriter(ByteWriter& out) : out_(out) {}
  void put(uint32_t value, uint32_t count) {
    pending_ |= uint64_t{value} << held_;
    held_ += count;
    while (held_ >= 8) {
      out_.u8(static_cast<uint8_t>(pending_));
      pending_ >>= 8;
      held_ -= 8;
    }
  }
  void finish() {
    if (held_ > 0) out_.u8(static_cast<uint8_t>(pending_));
    held_ = 0;
    pending_ = 0;
  }

 private:
  ByteWriter& out_;
  uint64_t pending_ = 0;
  uint32_t held_ = 0;
};

class BitReader {
 public:
  explicit BitReader(ByteReader& in) : in_(in) {}
  uint32_t get(uint32_t count) {
    while (held_ < count) {
      pending_ |= uint64_t{in_.u8()} << held_;
      held_ += 8;
    }
    const auto value = static_cast<uint32_t>(pending_ & ((uint64_t{1} << count) - 1));
    pending_ >>= count;
    held_ -= count;
    return value;
  }

 private:
  ByteReader& in_;
  uint64_t pending_ = 0;
  uint32_t held_ = 0;
};

// Bits of the exp-Golomb code of order k: u zeros, a one, then the low k + u bits.
uint32_t codeLength(uint32_t value, uint32_t order) {
  const auto width = static_cast<uint32_t>(std::bit_width(value + (1u << order)));
  return 2 * width - 1 - order;
}

void putCode(BitWriter& bits, uint32_t value, uint32_t order) {
  const uint32_t shifted = value + (1u << order);
  const auto width = static_cast<uint32_t>(std::bit_width(shifted));
  const uint32_t zeros = width - 1 - order;
  bits.put(1u << zeros, zeros + 1);
  bits.put(shifted & ((1u << (width - 1)) - 1), width - 1);
}

struct SymbolSpan {
  uint32_t first = 0;
  uint32_t last = 0;
};

SymbolSpan usedSymbols(const FrequencyTable& table) {
  SymbolSpan used{255, 0};
  for (uint32_t s = 0; s < 256; ++s) {
    if (table.frequency[s] == 0) continue;
    used.first = std::min(used.first, s);
    used.last = s;
  }
  return used;
}

// Each frequency but the last one, as a difference from the one before.
template <typename Visit>
void forEachDelta(const FrequencyTable& table, SymbolSpan used, Visit visit) {
  int32_t previous = 0;
  for (uint32_t s = used.first; s < used.last; ++s) {
    const int32_t frequency = table.frequency[s];
    visit(zigzag(frequency - previous));
    previous = frequency;
  }
}

}  // namespace

FrequencyTable normalise(const SymbolCounts& counts) {
  uint64_t total = 0;
  for (uint32_t c : counts) total += c;
  SPOLIA_CHECK(total > 0);
  FrequencyTable table;
  int32_t sum = 0;
  for (size_t s = 0; s < 256; ++s) {
    if (counts[s] == 0) continue;
    const uint64_t share = (uint64_t{counts[s]} * kRansProbabilityTotal + total / 2) / total;
    table.frequency[s] = static_cast<uint16_t>(std::max<uint64_t>(share, 1));
    sum += table.frequency[s];
  }
  // What rounding left over goes to the largest: relatively it changes least there.
  while (sum != static_cast<int32_t>(kRansProbabilityTotal)) {
    const auto largest = std::max_element(table.frequency.begin(), table.frequency.end());
    const int32_t excess = sum - static_cast<int32_t>(kRansProbabilityTotal);
    const int32_t step = std::clamp(excess, -8, *largest > 64 ? 8 : 1);
    *largest = static_cast<uint16_t>(*largest - step);
    sum -= step;
  }
  return table;
}

double codedBits(const SymbolCounts& counts, const FrequencyTable& table) {
  double bits = 0;
  for (size_t s = 0; s < 256; ++s) {
    if (counts[s] == 0) continue;
    bits += counts[s] * (kRansProbabilityBits - std::log2(double{1} * table.frequency[s]));
  }
  return bits;
}

void writeFrequencies(const FrequencyTable& table, ByteWriter& out) {
  const SymbolSpan used = usedSymbols(table);
  std::array<uint64_t, kMaxOrder + 1> length{};
  forEachDelta(table, used, [&](uint32_t delta) {
    for (uint32_t k = 0; k <= kMaxOrder; ++k) length[k] += codeLength(delta, k);
  });
  const auto order =
      static_cast<uint32_t>(std::min_element(length.begin(), length.end()) - length.begin());
  out.u8(static_cast<uint8_t>(used.first));
  out.u8(static_cast<uint8_t>(used.last));
  out.u8(static_cast<uint8_t>(order));
  BitWriter bits(out);
  forEachDelta(table, used, [&](uint32_t delta) { putCode(bits, delta, order); });
  bits.finish();
}

Result<FrequencyTable> readFrequencies(ByteReader& in) {
  const uint32_t first = in.u8();
  const uint32_t last = in.u8();
  const uint32_t order = in.u8();
  if (!in.ok() || first > last || order > kMaxOrder) {
    return Status(ErrorCode::kCorrupt, "frequency table: bad symbol range or code order");
  }
  FrequencyTable table;
  BitReader bits(in);
  int32_t left = kRansProbabilityTotal;
  int32_t previous = 0;
  for (uint32_t s = first; s < last; ++s) {
    uint32_t zeros = 0;
    while (zeros <= kMaxLeadingZeros && bits.get(1) == 0) ++zeros;
    if (zeros > kMaxLeadingZeros || !in.ok()) {
      return Status(ErrorCode::kCorrupt, "frequency table: code too long or cut off");
    }
    const uint32_t width = order + zeros;
    const uint32_t value = (bits.get(width) | (1u << width)) - (1u << order);
    const int32_t frequency = previous + unzigzag(value);
    if (frequency < 0 || frequency > left) {
      return Status(ErrorCode::kCorrupt, "frequency table: frequencies exceed their total");
    }
    table.frequency[s] = static_cast<uint16_t>(frequency);
    left -= frequency;
    previous = frequency;
  }
  table.frequency[last] = static_cast<uint16_t>(left);
  if (!in.ok() || left == 0) {
    return Status(ErrorCode::kCorrupt, "frequency table: cut off or last symbol unused");
  }
  return table;
}

void buildDecodeTable(const FrequencyTable& table, DecodeTable& out) {
  uint32_t slot = 0;
  for (uint32_t s = 0; s < 256; ++s) {
    const uint32_t frequency = table.frequency[s];
    for (uint32_t i = 0; i < frequency; ++i) out[slot++] = s | i << 8 | (frequency - 1) << 20;
  }
  SPOLIA_CHECK(slot == kRansProbabilityTotal);
}

}  // namespace spolia::codec
