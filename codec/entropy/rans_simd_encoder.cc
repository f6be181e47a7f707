#include "codec/entropy/rans_simd_encoder.h"

#include <algorithm>
#include <array>
#include <memory>

#include "codec/entropy/rans_reciprocal.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "codec/entropy/rans_simd_encoder.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#ifndef SPOLIA_CODEC_RANS_SIMD_ENCODER_ONCE
#define SPOLIA_CODEC_RANS_SIMD_ENCODER_ONCE
namespace spolia::codec {
namespace {

constexpr uint32_t kFrequencyBits = kRansProbabilityBits;
constexpr uint32_t kFieldMask = kRansProbabilityTotal - 1;
// Of x >= frequency << kQuotientBits a word is given away.
constexpr uint32_t kQuotientBits = 32 - kRansProbabilityBits;

// One frequency table, by symbol.
using Dividers = std::array<RansReciprocal, 256>;

// Encodes one symbol; words are stored from `words` downwards.
inline void encodeOne(uint32_t& state, RansReciprocal r, uint16_t*& words) {
  uint32_t x = state;
  const uint32_t full = (x >> kQuotientBits) + r.complement() >= kRansProbabilityTotal;
  // Stored in any case and then kept or not: whether it is, is close to a coin toss.
  words[-1] = static_cast<uint16_t>(x);
  words -= full;
  x >>= full * 16;
  state = x + r.divide(x) * r.complement() + r.start();
}

// Byte shuffles that move the words of lanes whose bit is set to the end, in order.
constexpr auto makePack() {
  struct alignas(16) Row {
    uint8_t byte[16];
  };
  std::array<Row, 256> rows{};
  for (size_t mask = 0; mask < rows.size(); ++mask) {
    size_t to = 8;
    for (size_t lane = 8; lane-- > 0;) {
      if ((mask >> lane & 1) == 0) continue;
      --to;
      rows[mask].byte[2 * to] = static_cast<uint8_t>(2 * lane);
      rows[mask].byte[2 * to + 1] = static_cast<uint8_t>(2 * lane + 1);
    }
  }
  return rows;
}
constexpr auto kPack = makePack();

}  // namespace
}  // namespace spolia::codec
#endif

HWY_BEFORE_NAMESPACE();
namespace spolia::codec {
namespace HWY_NAMESPACE {
namespace {

#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
namespace hn = hwy::HWY_NAMESPACE;

using Lanes = hn::ScalableTag<uint32_t>;
using Vector = hn::Vec<Lanes>;
using Mask = hn::Mask<Lanes>;
constexpr size_t kVectorLanes = hn::MaxLanes(Lanes());
constexpr size_t kVectors = kRansLanes / kVectorLanes;

// The multipliers and packed fields of as many symbols as there are lanes.
struct Looked {
  Vector multiplier;
  Vector packed;
};

#if HWY_MAX_BYTES == 64
HWY_INLINE Looked lookUp(const Dividers& dividers, const uint8_t* symbols) {
  const Lanes d;
  const hn::RebindToSigned<Lanes> index;
  const auto* table = reinterpret_cast<const int32_t*>(dividers.data());
  const auto symbol = hn::PromoteTo(index, hn::LoadU(hn::Rebind<uint8_t, Lanes>(), symbols));
  const auto at = hn::ShiftLeft<1>(symbol);
  return {hn::BitCast(d, hn::GatherIndex(index, table, at)),
          hn::BitCast(d, hn::GatherIndex(index, table + 1, at))};
}
#else
// Pairs loaded one by one: see the decoder about AVX2's gather.
HWY_INLINE Looked lookUp(const Dividers& dividers, const uint8_t* symbols) {
  const auto two = [&](size_t first) {
    return _mm_unpacklo_epi64(_mm_loadu_si64(&dividers[symbols[first]]),
                              _mm_loadu_si64(&dividers[symbols[first + 1]]));
  };
  const auto four = [&](size_t first) {
    return _mm256_castsi256_ps(
        _mm256_inserti128_si256(_mm256_castsi128_si256(two(first)), two(first + 4), 1));
  };
  const __m256 even = four(0);
  const __m256 odd = four(2);
  return {Vector{_mm256_castps_si256(_mm256_shuffle_ps(even, odd, _MM_SHUFFLE(2, 0, 2, 0)))},
          Vector{_mm256_castps_si256(_mm256_shuffle_ps(even, odd, _MM_SHUFFLE(3, 1, 3, 1)))}};
}
#endif

HWY_INLINE Vector highProduct(Vector a, Vector b) {
  const Lanes d;
  const hn::Repartition<uint64_t, Lanes> wide;
  const auto even = hn::MulEven(a, b);
  const auto odd = hn::MulEven(hn::BitCast(d, hn::ShiftRight<32>(hn::BitCast(wide, a))),
                               hn::BitCast(d, hn::ShiftRight<32>(hn::BitCast(wide, b))));
  return hn::OddEven(hn::BitCast(d, odd), hn::BitCast(d, hn::ShiftRight<32>(even)));
}

// Stores the low words of the lanes of `full` before `words`, in order, and gives their start. With
// AVX2 it writes before that too.
HWY_INLINE uint16_t* storeWords(Vector state, Mask full, uint16_t* words) {
#if HWY_MAX_BYTES == 64
  const auto count = static_cast<uint32_t>(hwy::PopCount(static_cast<uint64_t>(full.raw)));
  words -= count;
  const __m512i packed = _mm512_maskz_compress_epi32(full.raw, state.raw);
  _mm256_mask_storeu_epi16(words, static_cast<__mmask16>((1u << count) - 1),
                           _mm512_cvtepi32_epi16(packed));
#else
  const auto bits = static_cast<uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(full.raw)));
  const __m256i low = _mm256_and_si256(state.raw, _mm256_set1_epi32(0xffff));
  const __m128i all =
      _mm_packus_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1));
  const __m128i order = _mm_load_si128(reinterpret_cast<const __m128i*>(kPack[bits].byte));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(words - kVectorLanes), _mm_shuffle_epi8(all, order));
  words -= hwy::PopCount(bits);
#endif
  return words;
}

uint16_t* encodeRoundsHere(const Dividers& dividers, uint32_t* states, const uint8_t* symbols,
                           size_t count, uint16_t* words) {
  const Lanes d;
  const auto field = hn::Set(d, kFieldMask);
  Vector state[kVectors];
  for (size_t v = 0; v < kVectors; ++v) state[v] = hn::LoadU(d, states + v * kVectorLanes);
  while (count-- > 0) {
    for (size_t v = kVectors; v-- > 0;) {
      const auto [multiplier, packed] =
          lookUp(dividers, symbols + count * kRansLanes + v * kVectorLanes);
      const auto start = hn::And(packed, field);
      const auto complement = hn::And(hn::ShiftRight<kFrequencyBits>(packed), field);
      const auto shift = hn::And(hn::ShiftRight<24>(packed), hn::Set(d, 0xf));
      const auto increment = hn::ShiftRight<28>(packed);
      auto x = state[v];
      const auto full = hn::Eq(
          hn::ShiftRight<kFrequencyBits>(hn::Add(hn::ShiftRight<kQuotientBits>(x), complement)),
          hn::Set(d, 1));
      words = storeWords(x, full, words);
      x = hn::IfThenElse(full, hn::ShiftRight<16>(x), x);
      const auto quotient = hn::Shr(highProduct(hn::Add(x, increment), multiplier), shift);
      state[v] = hn::Add(hn::Add(x, start), hn::Mul(quotient, complement));
    }
  }
  for (size_t v = 0; v < kVectors; ++v) hn::StoreU(state[v], d, states + v * kVectorLanes);
  return words;
}

#else

// Vectors of four lanes do not make up for what they have to take apart.
uint16_t* encodeRoundsHere(const Dividers& dividers, uint32_t* states, const uint8_t* symbols,
                           size_t count, uint16_t* words) {
  uint32_t state[kRansLanes];
  std::copy_n(states, kRansLanes, state);
  while (count-- > 0) {
    for (size_t lane = kRansLanes; lane-- > 0;) {
      encodeOne(state[lane], dividers[symbols[count * kRansLanes + lane]], words);
    }
  }
  std::copy_n(state, kRansLanes, states);
  return words;
}

#endif

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace spolia::codec
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace spolia::codec {

HWY_EXPORT(encodeRoundsHere);

namespace {

// Words that a vector may write before those it keeps.
constexpr size_t kSlack = 16;

// The states of a payload in the making, and its words, which are stored from the end.
struct Coding {
  std::array<uint32_t, kRansLanes> state;
  uint16_t* first;
};

// Symbols [begin, end) of `symbols`, last one first.
void encodeRun(const uint8_t* symbols, size_t begin, size_t end, const Dividers& dividers,
               Coding& coding) {
  const auto one = [&](size_t i) {
    encodeOne(coding.state[i % kRansLanes], dividers[symbols[i]], coding.first);
  };
  while (end > begin && end % kRansLanes != 0) one(--end);
  const size_t rounds = (end - begin) / kRansLanes;
  end -= rounds * kRansLanes;
  coding.first = HWY_DYNAMIC_DISPATCH(encodeRoundsHere)(dividers, coding.state.data(),
                                                        symbols + end, rounds, coding.first);
  while (end > begin) one(--end);
}

}  // namespace

RansEncodeTable::RansEncodeTable(const FrequencyTable& table) {
  uint32_t start = 0;
  for (size_t s = 0; s < entries_.size(); ++s) {
    const uint32_t frequency = table.frequency[s];
    if (frequency == 0) continue;
    entries_[s] = reciprocalOf(frequency, start);
    start += frequency;
  }
}

void ransSimdEncode(std::span<const uint8_t> symbols, std::span<const RansRun> runs,
                    ByteWriter& out) {
  // The decoder reads words in the opposite order of their making; at most one for each symbol.
  const size_t capacity = symbols.size() + kSlack;
  const auto words = std::make_unique_for_overwrite<uint16_t[]>(capacity);
  Coding coding;
  coding.state.fill(kRansStateFloor);
  coding.first = words.get() + capacity;
  size_t end = symbols.size();
  for (size_t r = runs.size(); r-- > 0;) {
    const size_t begin = end - runs[r].count;
    encodeRun(symbols.data(), begin, end, runs[r].table->entries(), coding);
    end = begin;
  }
  out.write(coding.state);
  out.bytes(std::as_bytes(std::span(coding.first, words.get() + capacity)));
}

void ransSimdEncode(std::span<const uint8_t> symbols, const FrequencyTable& table,
                    ByteWriter& out) {
  const RansEncodeTable prepared(table);
  const RansRun run{symbols.size(), &prepared};
  ransSimdEncode(symbols, std::span(&run, 1), out);
}

}  // namespace spolia::codec
#endif
