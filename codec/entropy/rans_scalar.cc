#include "codec/entropy/rans_scalar.h"

#include <algorithm>
#include <vector>

namespace spolia::codec {
namespace {

constexpr uint32_t kSlotMask = kRansProbabilityTotal - 1;
constexpr size_t kWordBytes = 2;

// The state before a symbol's refill, and the symbol in the low byte of `entry`.
uint32_t advance(uint32_t state, uint32_t entry) {
  return ((entry >> 20) + 1) * (state >> kRansProbabilityBits) + (entry >> 8 & kSlotMask);
}

}  // namespace

void ransEncode(std::span<const uint8_t> symbols, const FrequencyTable& table, ByteWriter& out) {
  std::array<uint32_t, 256> start;
  uint32_t sum = 0;
  for (size_t s = 0; s < 256; ++s) {
    start[s] = sum;
    sum += table.frequency[s];
  }
  std::array<uint32_t, kRansLanes> state;
  state.fill(kRansStateFloor);
  // The decoder reads words in the opposite order of their making; at most one for each symbol.
  std::vector<uint16_t> words(symbols.size());
  size_t first = words.size();
  for (size_t i = symbols.size(); i-- > 0;) {
    const uint8_t symbol = symbols[i];
    const uint32_t frequency = table.frequency[symbol];
    uint32_t x = state[i % kRansLanes];
    if (x >> (32 - kRansProbabilityBits) >= frequency) {
      words[--first] = static_cast<uint16_t>(x);
      x >>= 16;
    }
    state[i % kRansLanes] = (x / frequency << kRansProbabilityBits) + x % frequency + start[symbol];
  }
  out.write(state);
  out.bytes(std::as_bytes(std::span(words).subspan(first)));
}

Status RansDecoder::start(ByteSpan payload, const FrequencyTable& table) {
  if (payload.size() < sizeof state_ || payload.size() % kWordBytes != 0) {
    return Status(ErrorCode::kCorrupt, "rANS payload: too short or of odd length");
  }
  std::memcpy(state_.data(), payload.data(), sizeof state_);
  for (uint32_t x : state_) {
    if (x < kRansStateFloor) return Status(ErrorCode::kCorrupt, "rANS payload: state too small");
  }
  next_ = payload.data() + sizeof state_;
  end_ = payload.data() + payload.size();
  lane_ = 0;
  exhausted_ = false;
  buildDecodeTable(table, table_);
  return {};
}

void RansDecoder::decode(std::span<uint8_t> out) {
  uint8_t* at = out.data();
  uint8_t* const end = at + out.size();
  while (lane_ != 0 && at != end) *at++ = decodeOne();
  while (static_cast<size_t>(end - at) >= kRansLanes) {
    const size_t wanted = static_cast<size_t>(end - at) / kRansLanes;
    const size_t safe = static_cast<size_t>(end_ - next_) / (kRansLanes * kWordBytes);
    const size_t rounds = std::min(wanted, safe);
    if (rounds == 0) break;
    decodeRounds(at, rounds);
    at += rounds * kRansLanes;
  }
  while (at != end) *at++ = decodeOne();
}

// Whole rounds that cannot run out of words: no bounds to check inside. The refill is arithmetic
// and not a branch, since whether a lane needs one is close to a coin toss.
void RansDecoder::decodeRounds(uint8_t* out, size_t rounds) {
  std::array<uint32_t, kRansLanes> state = state_;
  const std::byte* next = next_;
  for (size_t round = 0; round < rounds; ++round, out += kRansLanes) {
    for (uint32_t lane = 0; lane < kRansLanes; ++lane) {
      const uint32_t entry = table_[state[lane] & kSlotMask];
      const uint32_t x = advance(state[lane], entry);
      uint16_t word;
      std::memcpy(&word, next, kWordBytes);
      const uint32_t refill = x < kRansStateFloor;
      out[lane] = static_cast<uint8_t>(entry);
      state[lane] = x << refill * 16 | (word & -refill);
      next += refill * kWordBytes;
    }
  }
  state_ = state;
  next_ = next;
}

uint8_t RansDecoder::decodeOne() {
  const uint32_t entry = table_[state_[lane_] & kSlotMask];
  uint32_t x = advance(state_[lane_], entry);
  if (x < kRansStateFloor) {
    uint16_t word = 0;
    if (next_ == end_) {
      exhausted_ = true;
    } else {
      std::memcpy(&word, next_, kWordBytes);
      next_ += kWordBytes;
    }
    x = x << 16 | word;
  }
  state_[lane_] = x;
  lane_ = (lane_ + 1) % kRansLanes;
  return static_cast<uint8_t>(entry);
}

bool RansDecoder::finished() const {
  return !exhausted_ && next_ == end_ &&
         std::all_of(state_.begin(), state_.end(), [](uint32_t x) { return x == kRansStateFloor; });
}

}  // namespace spolia::codec
