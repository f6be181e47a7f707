#include "codec/entropy/rans_simd_decoder.h"

#include <algorithm>
#include <bit>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "codec/entropy/rans_simd_decoder.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#ifndef SPOLIA_CODEC_RANS_SIMD_DECODER_ONCE
#define SPOLIA_CODEC_RANS_SIMD_DECODER_ONCE
namespace spolia::codec {
namespace {

constexpr uint32_t kSlotMask = kRansProbabilityTotal - 1;
constexpr size_t kWordBytes = 2;
// The most that a round can take.
constexpr size_t kRoundBytes = kRansLanes * kWordBytes;

// The state before a symbol's refill, and the symbol in the low byte of `entry`.
inline uint32_t advance(uint32_t state, uint32_t entry) {
  return ((entry >> 20) + 1) * (state >> kRansProbabilityBits) + (entry >> 8 & kSlotMask);
}

// Where rounds stand: `next` moves on.
struct Rounds {
  const uint32_t* table;
  uint32_t* state;
  const std::byte* next;
};

// Byte shuffles that hand a sequence of words to the lanes whose bit is set; others get 0. A lane
// has `laneBytes` bytes.
template <size_t kLanes, size_t kLaneBytes>
constexpr auto makeDeal() {
  struct alignas(16) Row {
    uint8_t byte[16];
  };
  std::array<Row, size_t{1} << kLanes> rows{};
  for (size_t mask = 0; mask < rows.size(); ++mask) {
    uint8_t word = 0;
    for (uint8_t& b : rows[mask].byte) b = 0x80;
    for (size_t lane = 0; lane < kLanes; ++lane) {
      if ((mask >> lane & 1) == 0) continue;
      rows[mask].byte[lane * kLaneBytes] = static_cast<uint8_t>(2 * word);
      rows[mask].byte[lane * kLaneBytes + 1] = static_cast<uint8_t>(2 * word + 1);
      ++word;
    }
  }
  return rows;
}
constexpr auto kDealToFour = makeDeal<4, 4>();
constexpr auto kDealToEight = makeDeal<8, 2>();

}  // namespace
}  // namespace spolia::codec
#endif

HWY_BEFORE_NAMESPACE();
namespace spolia::codec {
namespace HWY_NAMESPACE {
namespace {

#if HWY_TARGET == HWY_SSE4 || HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3 || \
    HWY_TARGET == HWY_AVX3_DL || HWY_TARGET == HWY_NEON
namespace hn = hwy::HWY_NAMESPACE;

using Lanes = hn::ScalableTag<uint32_t>;
using Vector = hn::Vec<Lanes>;
using Mask = hn::Mask<Lanes>;
constexpr size_t kVectorLanes = hn::MaxLanes(Lanes());
constexpr size_t kVectors = kRansLanes / kVectorLanes;
static_assert(kVectorLanes == 4 || kVectorLanes == 8 || kVectorLanes == 16);

// The words at `next` in order to the lanes of `wanting`, 0 to the others. Reads as many words as
// there are lanes.
HWY_INLINE Vector deal(Mask wanting, uint32_t bits, const std::byte* next) {
  const Lanes d;
  const auto* at = reinterpret_cast<const uint8_t*>(next);
#if HWY_MAX_BYTES == 64
  (void)bits;
  const hn::Rebind<uint16_t, Lanes> words;
  const hn::Repartition<uint8_t, decltype(words)> bytes;
  const auto all = hn::PromoteTo(d, hn::BitCast(words, hn::LoadU(bytes, at)));
  return Vector{_mm512_maskz_expand_epi32(wanting.raw, all.raw)};
#elif HWY_MAX_BYTES == 32
  (void)wanting;
  const hn::FixedTag<uint8_t, 16> bytes;
  const auto dealt =
      hn::TableLookupBytesOr0(hn::LoadU(bytes, at), hn::Load(bytes, kDealToEight[bits].byte));
  return hn::PromoteTo(d, hn::BitCast(hn::Rebind<uint16_t, Lanes>(), dealt));
#else
  (void)wanting;
  const hn::FixedTag<uint8_t, 16> bytes;
  const auto words = hn::ZeroExtendVector(bytes, hn::LoadU(hn::FixedTag<uint8_t, 8>(), at));
  return hn::BitCast(d, hn::TableLookupBytesOr0(words, hn::Load(bytes, kDealToFour[bits].byte)));
#endif
}

HWY_INLINE uint32_t bitsOf(Mask mask) {
#if HWY_MAX_BYTES == 32
  return static_cast<uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(mask.raw)));
#else
  uint8_t bits[8] = {};  // Highway may write all of it
  hn::StoreMaskBits(Lanes(), mask, bits);
  return uint32_t{bits[0]} | uint32_t{bits[1]} << 8;
#endif
}

#if HWY_TARGET == HWY_SSE4 || HWY_TARGET == HWY_AVX2
// Loads one by one: AVX2's gather is slower on AMD, and on Intel since it is kept from leaking.
HWY_INLINE __m128i lookUpFour(const uint32_t* table, __m128i slots) {
  const auto low = static_cast<uint64_t>(_mm_cvtsi128_si64(slots));
  const auto high = static_cast<uint64_t>(_mm_extract_epi64(slots, 1));
  const auto first = _mm_unpacklo_epi32(_mm_loadu_si32(table + static_cast<uint32_t>(low)),
                                        _mm_loadu_si32(table + (low >> 32)));
  const auto second = _mm_unpacklo_epi32(_mm_loadu_si32(table + static_cast<uint32_t>(high)),
                                         _mm_loadu_si32(table + (high >> 32)));
  return _mm_unpacklo_epi64(first, second);
}
#endif

// The entries of the slots that the states stand in.
HWY_INLINE Vector lookUp(const uint32_t* table, Vector state) {
  const Lanes d;
  const auto slot = hn::And(state, hn::Set(d, kSlotMask));
#if HWY_TARGET == HWY_SSE4
  return Vector{lookUpFour(table, slot.raw)};
#elif HWY_TARGET == HWY_AVX2
  const auto low = lookUpFour(table, _mm256_castsi256_si128(slot.raw));
  const auto high = lookUpFour(table, _mm256_extracti128_si256(slot.raw, 1));
  return Vector{_mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1)};
#else
  const hn::RebindToSigned<Lanes> index;
  return hn::BitCast(
      d, hn::GatherIndex(index, reinterpret_cast<const int32_t*>(table), hn::BitCast(index, slot)));
#endif
}

// Low bytes of all entries, lane after lane.
HWY_INLINE void storeSymbols(const Vector (&entry)[kVectors], uint8_t* out) {
  const Lanes d;
  const auto low = hn::Set(d, 0xff);
#if HWY_MAX_BYTES == 64
  const hn::Rebind<uint8_t, Lanes> bytes;
  for (size_t v = 0; v < kVectors; ++v) {
    hn::StoreU(hn::U8FromU32(hn::And(entry[v], low)), bytes, out + v * kVectorLanes);
  }
#else
  // Four vectors byte by byte into one, in which each 16-byte block is then transposed.
  const hn::Repartition<uint8_t, Lanes> bytes;
  alignas(16) static constexpr uint8_t kTranspose[16] = {0, 4, 8,  12, 1, 5, 9,  13,
                                                         2, 6, 10, 14, 3, 7, 11, 15};
  const auto transpose = hn::LoadDup128(bytes, kTranspose);
  for (size_t v = 0; v < kVectors; v += 4) {
    const auto first = hn::And(entry[v], low);
    const auto second = hn::ShiftLeft<8>(hn::And(entry[v + 1], low));
    const auto third = hn::ShiftLeft<16>(hn::And(entry[v + 2], low));
    const auto fourth = hn::ShiftLeft<24>(entry[v + 3]);
    const auto all = hn::TableLookupBytes(
        hn::BitCast(bytes, hn::Or(hn::Or(first, second), hn::Or(third, fourth))), transpose);
#if HWY_MAX_BYTES == 32
    alignas(32) static constexpr uint32_t kPairs[8] = {0, 4, 1, 5, 2, 6, 3, 7};
    const auto ordered = hn::TableLookupLanes(hn::BitCast(d, all), hn::SetTableIndices(d, kPairs));
    hn::StoreU(hn::BitCast(bytes, ordered), bytes, out + v * kVectorLanes);
#else
    hn::StoreU(all, bytes, out + v * kVectorLanes);
#endif
  }
#endif
}

// The vectors of a round depend on each other by nothing but where the words stand, which are two
// additions: their gathers and products overlap.
void decodeRoundsHere(Rounds& rounds, uint8_t* out, size_t count) {
  const Lanes d;
  const auto slotMask = hn::Set(d, kSlotMask);
  const std::byte* next = rounds.next;
  Vector state[kVectors];
  Vector entry[kVectors];
  Mask wanting[kVectors];
  uint32_t bits[kVectors];
  for (size_t v = 0; v < kVectors; ++v) state[v] = hn::LoadU(d, rounds.state + v * kVectorLanes);
  for (; count > 0; --count, out += kRansLanes) {
    for (size_t v = 0; v < kVectors; ++v) {
      entry[v] = lookUp(rounds.table, state[v]);
    }
    for (size_t v = 0; v < kVectors; ++v) {
      const auto high = hn::ShiftRight<kRansProbabilityBits>(state[v]);
      const auto rest = hn::And(hn::ShiftRight<8>(entry[v]), slotMask);
      const auto lessOne = hn::ShiftRight<20>(entry[v]);
      state[v] = hn::Add(hn::Mul(lessOne, high), hn::Add(high, rest));
      wanting[v] = hn::Eq(hn::ShiftRight<16>(state[v]), hn::Zero(d));
      bits[v] = bitsOf(wanting[v]);
    }
    for (size_t v = 0; v < kVectors; ++v) {
      const auto refilled = hn::Or(hn::ShiftLeft<16>(state[v]), deal(wanting[v], bits[v], next));
      state[v] = hn::IfThenElse(wanting[v], refilled, state[v]);
      next += kWordBytes * hwy::PopCount(bits[v]);
    }
    storeSymbols(entry, out);
  }
  for (size_t v = 0; v < kVectors; ++v) hn::StoreU(state[v], d, rounds.state + v * kVectorLanes);
  rounds.next = next;
}

#else

void decodeRoundsHere(Rounds& rounds, uint8_t* out, size_t count) {
  const uint32_t* const table = rounds.table;
  const std::byte* next = rounds.next;
  uint32_t state[kRansLanes];
  std::copy_n(rounds.state, kRansLanes, state);
  for (; count > 0; --count, out += kRansLanes) {
    for (uint32_t lane = 0; lane < kRansLanes; ++lane) {
      const uint32_t entry = table[state[lane] & kSlotMask];
      const uint32_t x = advance(state[lane], entry);
      uint16_t word;
      std::memcpy(&word, next, kWordBytes);
      const uint32_t refill = x < kRansStateFloor;
      out[lane] = static_cast<uint8_t>(entry);
      state[lane] = x << refill * 16 | (word & -refill);
      next += refill * kWordBytes;
    }
  }
  std::copy_n(state, kRansLanes, rounds.state);
  rounds.next = next;
}

#endif

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace spolia::codec
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace spolia::codec {

HWY_EXPORT(decodeRoundsHere);

namespace {

// buildDecodeTable() in steps of fixed length, which compilers turn into vectors; a symbol's last
// step reaches into the next symbol's slots, which are written after it.
void fillTable(const FrequencyTable& table, uint32_t* out) {
  uint32_t* const end = out + kRansProbabilityTotal;
  for (uint32_t s = 0; s < 256; ++s) {
    const uint32_t frequency = table.frequency[s];
    uint32_t entry = s | (frequency - 1) << 20;
    for (uint32_t i = 0; i < frequency; i += kSlotStep, entry += kSlotStep << 8) {
      for (uint32_t k = 0; k < kSlotStep; ++k) out[i + k] = entry + (k << 8);
    }
    out += frequency;
  }
  SPOLIA_CHECK(out == end);
}

}  // namespace

void RansDecodeTable::build(const FrequencyTable& table) {
  fillTable(table, entries_.data());
}

Status RansSimdDecoder::start(ByteSpan payload) {
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
  return {};
}

void RansSimdDecoder::decode(std::span<uint8_t> out) {
  uint8_t* at = out.data();
  uint8_t* const end = at + out.size();
  while (lane_ != 0 && at != end) *at++ = decodeOne();
  while (static_cast<size_t>(end - at) >= kRansLanes) {
    const size_t wanted = static_cast<size_t>(end - at) / kRansLanes;
    const size_t safe = static_cast<size_t>(end_ - next_) / kRoundBytes;
    const size_t rounds = std::min(wanted, safe);
    if (rounds == 0) {
      decodeLastWords(at);
      at += kRansLanes;
    } else {
      decodeRounds(at, rounds);
      at += rounds * kRansLanes;
    }
  }
  while (at != end) *at++ = decodeOne();
}

// Whole rounds that cannot run out of words: no bounds to check inside.
void RansSimdDecoder::decodeRounds(uint8_t* out, size_t rounds) {
  Rounds here{table_, state_.data(), next_};
  HWY_DYNAMIC_DISPATCH(decodeRoundsHere)(here, out, rounds);
  next_ = here.next;
}

// One round where the words left may be too few: zeros follow them.
void RansSimdDecoder::decodeLastWords(uint8_t* out) {
  std::array<std::byte, 2 * kRoundBytes> padded{};
  const auto left = static_cast<size_t>(end_ - next_);
  std::copy(next_, end_, padded.data());
  Rounds here{table_, state_.data(), padded.data()};
  HWY_DYNAMIC_DISPATCH(decodeRoundsHere)(here, out, 1);
  const auto used = static_cast<size_t>(here.next - padded.data());
  exhausted_ |= used > left;
  next_ += std::min(used, left);
}

uint8_t RansSimdDecoder::decodeOne() {
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

bool RansSimdDecoder::finished() const {
  return !exhausted_ && next_ == end_ &&
         std::all_of(state_.begin(), state_.end(), [](uint32_t x) { return x == kRansStateFloor; });
}

}  // namespace spolia::codec
#endif
