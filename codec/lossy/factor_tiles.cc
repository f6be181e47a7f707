// Compiled without automatic vectors: see tile_sums-inl.h, which also says what the forms are for.
#include "codec/lossy/factor_tiles.h"

#include <algorithm>
#include <cstring>

#define HWY_WANT_AVX3_DL
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "codec/lossy/factor_tiles.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "codec/lossy/tile_sums-inl.h"

HWY_BEFORE_NAMESPACE();
namespace spolia::codec {
namespace HWY_NAMESPACE {
namespace {

using Tile = FactorTiles::Tile;

// Where sums begin for factors of a sum.
int32_t startOf(int32_t sum) {
  return static_cast<int32_t>(static_cast<uint32_t>(sum) * -128u);
}

#if HWY_TARGET != HWY_SCALAR
// Times the power, kept within -32767 to 32767.
HWY_INLINE Shorts shifted(Shorts value, Shorts power) {
  const Wide d;
  const auto low = hn::Mul(value, power);
  const auto fits = hn::Eq(hn::MulHigh(value, power), hn::BroadcastSignBit(low));
  const auto edge = hn::Xor(hn::BroadcastSignBit(value), hn::Set(d, 32767));
  return hn::Max(hn::IfThenElse(fits, low, edge), hn::Set(d, -32767));
}

#endif

#if SPOLIA_BYTE_PRODUCTS

// Quads of bytes in the order of rows.
HWY_INLINE __m256i rowsOrder(__m256i bytes) {
  const __m128i order = _mm_setr_epi8(0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15);
  return _mm256_shuffle_epi8(bytes, _mm256_broadcastsi128_si256(order));
}

// Appends the quads from `first` on whose bits are set.
HWY_INLINE void listQuads(uint32_t first, __mmask8 set, uint16_t* list, uint16_t& listed) {
  const __m128i eight = _mm_setr_epi16(0, 1, 2, 3, 4, 5, 6, 7);
  const __m128i all = _mm_add_epi16(eight, _mm_set1_epi16(static_cast<int16_t>(first)));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(list + listed), _mm_maskz_compress_epi16(set, all));
  listed = static_cast<uint16_t>(listed + __builtin_popcount(set));
}

// The high bytes of 32 factors, which some of the tile have, and what is above those.
HWY_NOINLINE void splitHigh(const Shorts (&x)[kTileTokens], uint32_t j, size_t tile,
                            FactorTiles& out) {
  __m256i any[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
  for (uint32_t t = 0; t < kTileTokens; ++t) {
    const __m512i low = _mm512_cvtepi8_epi16(_mm512_cvtepi16_epi8(x[t].raw));
    // From 32640 on the rest is 128 * 256.
    const __mmask32 above = _mm512_cmpge_epi16_mask(x[t].raw, _mm512_set1_epi16(32640));
    const __m512i rest = _mm512_srai_epi16(_mm512_sub_epi16(x[t].raw, low), 8);
    const __m512i high = _mm512_mask_mov_epi16(rest, above, _mm512_set1_epi16(127));
    const __m512i parts[2] = {high, _mm512_maskz_set1_epi16(above, 1)};
    for (size_t part = 0; part < 2; ++part) {
      const __m256i bytes = _mm512_cvtepi16_epi8(parts[part]);
      any[part] = _mm256_or_si256(any[part], bytes);
      uint8_t* to = out.factors(tile, part + 1) + t * out.stride() + j;
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), rowsOrder(bytes));
    }
  }
  for (size_t part = 0; part < 2; ++part) {
    listQuads(j / kQuad, _mm256_test_epi32_mask(any[part], any[part]), out.quads(tile, part + 1),
              out.tile(tile).listed[part + 1]);
  }
}

void prepareTile(const int16_t* values, size_t stride, uint32_t count, const int16_t* powers,
                 uint32_t tokens, size_t tile, FactorTiles& out) {
  const Wide d;
  const SumLanes s;
  Tile& made = out.tile(tile);
  made.listed = {};
  uint8_t* const to = out.factors(tile, 0);
  Sum sums[kTileTokens];
  for (auto& sum : sums) sum = hn::Zero(s);
  for (uint32_t j = 0; j < count; j += 32) {
    const __mmask32 there = count - j >= 32 ? ~0u : (1u << (count - j)) - 1;
    const Shorts power{powers == nullptr ? _mm512_set1_epi16(1)
                                         : _mm512_maskz_loadu_epi16(there, powers + j)};
    Shorts x[kTileTokens];
    __m256i any = _mm256_setzero_si256();
    auto reach = hn::Zero(d);
    for (uint32_t t = 0; t < kTileTokens; ++t) {
      x[t] = hn::Zero(d);
      if (t < tokens) {
        x[t] = Shorts{_mm512_maskz_loadu_epi16(there, values + t * stride + j)};
        if (powers != nullptr) x[t] = shifted(x[t], power);
      }
      sums[t] = hn::Add(sums[t], pairProducts(x[t], hn::Set(d, 1)));
      reach = hn::Or(reach, hn::Add(x[t], hn::Set(d, 128)));
      const __m256i low = _mm512_cvtepi16_epi8(x[t].raw);
      any = _mm256_or_si256(any, low);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + t * out.stride() + j), rowsOrder(low));
    }
    listQuads(j / kQuad, _mm256_test_epi32_mask(any, any), out.quads(tile, 0), made.listed[0]);
    if (_mm512_test_epi16_mask(reach.raw, _mm512_set1_epi16(-256)) != 0) {
      splitHigh(x, j, tile, out);
    }
  }
  for (uint32_t t = 0; t < kTileTokens; ++t) {
    made.start[t] = startOf(_mm512_reduce_add_epi32(sums[t].raw));
  }
}

#else

// Factors as 16 bits, [token][factor].
void prepareTile(const int16_t* values, size_t stride, uint32_t count, const int16_t* powers,
                 uint32_t tokens, size_t tile, FactorTiles& out) {
  Tile& made = out.tile(tile);
  made.listed = {};
  int16_t* const to = reinterpret_cast<int16_t*>(out.factors(tile, 0));
  const size_t toStride = out.stride() / sizeof(int16_t);
  for (uint32_t t = 0; t < kTileTokens; ++t) {
    int16_t* x = to + t * toStride;
    if (t >= tokens) {
      std::fill_n(x, count, int16_t{0});
      made.start[t] = 0;
      continue;
    }
    const int16_t* from = values + t * stride;
    int32_t sum = 0;  // of at most 512
    uint32_t j = 0;
#if HWY_TARGET != HWY_SCALAR
    const Wide d;
    const SumLanes s;
    auto sums = hn::Zero(s);
    for (; j + hn::Lanes(d) <= count; j += static_cast<uint32_t>(hn::Lanes(d))) {
      auto v = hn::LoadU(d, from + j);
      if (powers != nullptr) v = shifted(v, hn::LoadU(d, powers + j));
      sums = hn::Add(sums, pairProducts(v, hn::Set(d, 1)));
      hn::StoreU(v, d, x + j);
    }
    sum = hn::GetLane(hn::SumOfLanes(s, sums));
#endif
    for (; j < count; ++j) {
      const int32_t v =
          powers == nullptr ? from[j] : std::clamp(from[j] * powers[j], -32767, 32767);
      sum += v;
      x[j] = static_cast<int16_t>(v);
    }
    made.start[t] = startOf(sum);
  }
  uint16_t* const list = out.quads(tile, 0);
  for (uint32_t quad = 0; quad < count / kQuad; ++quad) {
    uint64_t any = 0;
    for (uint32_t t = 0; t < kTileTokens; ++t) {
      uint64_t four;
      std::memcpy(&four, to + t * toStride + size_t{quad} * kQuad, sizeof four);
      any |= four;
    }
    list[made.listed[0]] = static_cast<uint16_t>(quad);
    made.listed[0] = static_cast<uint16_t>(made.listed[0] + (any != 0 ? 1 : 0));
  }
}

#endif

void prepareHere(const int16_t* values, size_t stride, uint32_t count, const int16_t* powers,
                 uint32_t tokens, FactorTiles& out) {
  for (uint32_t t = 0; t < tokens; t += kTileTokens) {
    prepareTile(values + t * stride, stride, count, powers, std::min(kTileTokens, tokens - t),
                t / kTileTokens, out);
  }
}

bool multipliesBytesHere() {
  return SPOLIA_BYTE_PRODUCTS != 0;
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace spolia::codec
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace spolia::codec {

HWY_EXPORT(multipliesBytesHere);
HWY_EXPORT(prepareHere);

std::vector<RowBytes> panelsOf(std::span<const int8_t> rows, uint32_t channels,
                               std::span<const uint32_t> widths) {
  constexpr size_t kPlace[kQuad] = {0, 2, 1, 3};
  const size_t count = rows.size() / channels;
  if (count == 0) return {};
  const size_t quadRows = (count + kQuad - 1) / kQuad * kQuad;
  // And 64 bytes that vectors may read.
  std::vector<RowBytes> out((quadRows * channels - 1) / sizeof(RowBytes) + 2);
  std::memset(out.data(), 128, out.size() * sizeof(RowBytes));
  uint8_t* panel = out.front().bytes;
  uint32_t first = 0;
  for (uint32_t width : widths) {
    for (size_t row = 0; row < count; ++row) {
      uint8_t* to = panel + row / kQuad * kQuad * width + kPlace[row % kQuad];
      const int8_t* from = rows.data() + row * channels + first;
      for (uint32_t c = 0; c < width; ++c)
        to[size_t{kQuad} * c] = static_cast<uint8_t>(from[c] + 128);
    }
    panel += quadRows * width;
    first += width;
  }
  return out;
}

void FactorTiles::prepare(const int16_t* values, size_t stride, uint32_t count,
                          const int16_t* powers, uint32_t tokens) {
  tiles_.resize((tokens + kTileTokens - 1) / kTileTokens);
  // Whole vectors are written: of factors, and of eight places in a list.
  const bool bytes = HWY_DYNAMIC_DISPATCH(multipliesBytesHere)();
  stride_ = (size_t{count} + 31) / 32 * 32 * (bytes ? 1 : sizeof(int16_t));
  listStride_ = count / kQuad + 8;
  quads_.resize(std::max(quads_.size(), tiles_.size() * kParts * listStride_));
  const size_t size = (bytes ? kParts : 1) * tiles_.size() * kTileTokens * stride_;
  factors_.resize(std::max(factors_.size(), size));
  HWY_DYNAMIC_DISPATCH(prepareHere)(values, stride, count, powers, tokens, *this);
}

}  // namespace spolia::codec
#endif
