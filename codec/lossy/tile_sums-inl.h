// Sums of products of one tile with a panel's rows, for the target that is being compiled: included
// once for each, by files that are.
//
// Where the target multiplies bytes (AVX-512 VNNI), four products of an unsigned and a signed byte
// are added to 32 bits in one instruction. Rows are the unsigned side, by having 128 added; a sum
// starts at -128 times the sum of its factors to make up for that. Factors are split into signed
// bytes, low + 256 * high; most are small and have only low ones.
// Other targets multiply 16 bits and add pairs: even and odd bytes of a quad are taken apart, which
// is why the rows 1 and 2 are exchanged.
//
// Who includes this is compiled without automatic vectors: what Highway 1.0.3 lets the compiler use
// for AVX3_DL includes AVX-VNNI, which not all such machines have.
#if defined(SPOLIA_CODEC_LOSSY_TILE_SUMS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SPOLIA_CODEC_LOSSY_TILE_SUMS_INL_H_
#undef SPOLIA_CODEC_LOSSY_TILE_SUMS_INL_H_
#else
#define SPOLIA_CODEC_LOSSY_TILE_SUMS_INL_H_
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <cstring>

#include "codec/lossy/factor_tiles.h"

HWY_BEFORE_NAMESPACE();
namespace spolia::codec {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

using SumLanes = hn::ScalableTag<int32_t>;
using Sum = hn::Vec<SumLanes>;

#undef SPOLIA_BYTE_PRODUCTS
#if HWY_TARGET == HWY_AVX3_DL
#define SPOLIA_BYTE_PRODUCTS 1
#else
#define SPOLIA_BYTE_PRODUCTS 0
#endif

// As many vectors of sums for each token of a tile as registers hold.
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL || HWY_TARGET == HWY_NEON
constexpr size_t kMostVectors = 4;
#else
constexpr size_t kMostVectors = 2;
#endif

#if HWY_TARGET != HWY_SCALAR
using Wide = hn::Repartition<int16_t, SumLanes>;
using Shorts = hn::Vec<Wide>;

HWY_INLINE int32_t fourBytesAt(const uint8_t* from) {
  int32_t four;
  std::memcpy(&four, from, sizeof four);
  return four;
}

// The sum of both products of each pair of 16-bit factors.
HWY_INLINE Sum pairProducts(Shorts a, Shorts b) {
#if HWY_TARGET == HWY_SSSE3 || HWY_TARGET == HWY_SSE4
  return Sum{_mm_madd_epi16(a.raw, b.raw)};
#elif HWY_TARGET == HWY_AVX2
  return Sum{_mm256_madd_epi16(a.raw, b.raw)};
#elif HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
  return Sum{_mm512_madd_epi16(a.raw, b.raw)};
#else
  const SumLanes d;
  const auto whole = [&](Shorts v) { return hn::BitCast(d, v); };
  const auto low = [&](Sum v) { return hn::ShiftRight<16>(hn::ShiftLeft<16>(v)); };
  const auto high = [&](Sum v) { return hn::ShiftRight<16>(v); };
  return hn::Add(hn::Mul(low(whole(a)), low(whole(b))), hn::Mul(high(whole(a)), high(whole(b))));
#endif
}
#endif

#if SPOLIA_BYTE_PRODUCTS

// Written out, since Highway 1.0.3 does not name avx512vnni among this target's features.
HWY_INLINE Sum addByteProducts(Sum sum, __m512i rows, __m512i factors) {
  asm("vpdpbusd %2, %1, %0" : "+v"(sum.raw) : "v"(rows), "v"(factors));
  return sum;
}

template <size_t kVectors>
HWY_INLINE void addQuads(const FactorTiles& factors, size_t tile, size_t part, const uint8_t* rows,
                         size_t quadBytes, Sum (&sum)[kTileTokens][kVectors]) {
  const uint16_t* const quads = factors.quads(tile, part);
  const uint8_t* const x = factors.factors(tile, part);
  const size_t stride = factors.stride();
  for (size_t i = 0, listed = factors.tile(tile).listed[part]; i < listed; ++i) {
    const size_t quad = quads[i];
    __m512i row[kVectors];
    for (size_t v = 0; v < kVectors; ++v) {
      row[v] = _mm512_loadu_si512(rows + quad * quadBytes + v * sizeof(__m512i));
    }
    for (uint32_t t = 0; t < kTileTokens; ++t) {
      const __m512i four = _mm512_set1_epi32(fourBytesAt(x + t * stride + quad * kQuad));
      for (size_t v = 0; v < kVectors; ++v) {
        sum[t][v] = addByteProducts(sum[t][v], row[v], four);
      }
    }
  }
}

#elif HWY_TARGET == HWY_SCALAR

template <size_t kVectors>
void addQuads(const FactorTiles& factors, size_t tile, size_t part, const uint8_t* rows,
              size_t quadBytes, Sum (&sum)[kTileTokens][kVectors]) {
  const uint16_t* const quads = factors.quads(tile, part);
  for (size_t i = 0; i < factors.tile(tile).listed[part]; ++i) {
    for (uint32_t t = 0; t < kTileTokens; ++t) {
      int16_t x[kQuad];
      std::memcpy(x, factors.factors(tile, part) + t * factors.stride() + quads[i] * sizeof x,
                  sizeof x);
      for (size_t v = 0; v < kVectors; ++v) {
        const uint8_t* row = rows + quads[i] * quadBytes + v * kQuad;
        const int32_t four = x[0] * row[0] + x[1] * row[2] + x[2] * row[1] + x[3] * row[3];
        sum[t][v] = hn::Add(sum[t][v], hn::Set(SumLanes(), four));
      }
    }
  }
}

#else

template <size_t kVectors>
HWY_INLINE void addQuads(const FactorTiles& factors, size_t tile, size_t part, const uint8_t* rows,
                         size_t quadBytes, Sum (&sum)[kTileTokens][kVectors]) {
  const SumLanes d;
  const Wide wide;
  const hn::RebindToUnsigned<Wide> u;
  const hn::Repartition<uint8_t, Wide> bytes;
  const uint16_t* const quads = factors.quads(tile, part);
  const uint8_t* const x = factors.factors(tile, part);
  const size_t stride = factors.stride();
  for (size_t i = 0, listed = factors.tile(tile).listed[part]; i < listed; ++i) {
    const size_t quad = quads[i];
    Shorts even[kVectors], odd[kVectors];
    for (size_t v = 0; v < kVectors; ++v) {
      const auto both =
          hn::BitCast(u, hn::LoadU(bytes, rows + quad * quadBytes + v * hn::Lanes(bytes)));
      even[v] = hn::BitCast(wide, hn::And(both, hn::Set(u, 0xff)));
      odd[v] = hn::BitCast(wide, hn::ShiftRight<8>(both));
    }
    for (uint32_t t = 0; t < kTileTokens; ++t) {
      const uint8_t* four = x + t * stride + quad * kQuad * sizeof(int16_t);
      const auto first = hn::BitCast(wide, hn::Set(d, fourBytesAt(four)));
      const auto second = hn::BitCast(wide, hn::Set(d, fourBytesAt(four + 4)));
      for (size_t v = 0; v < kVectors; ++v) {
        const auto sums = hn::Add(pairProducts(even[v], first), pairProducts(odd[v], second));
        sum[t][v] = hn::Add(sum[t][v], sums);
      }
    }
  }
}

#endif

template <size_t kVectors>
HWY_INLINE void clear(Sum (&sum)[kTileTokens][kVectors]) {
  for (auto& row : sum) {
    for (auto& s : row) s = hn::Zero(SumLanes());
  }
}

template <size_t kVectors>
HWY_INLINE void sumTile(const FactorTiles& factors, size_t tile, const uint8_t* rows,
                        size_t quadBytes, Sum (&sum)[kTileTokens][kVectors]) {
  const SumLanes d;
  const FactorTiles::Tile& about = factors.tile(tile);
  for (uint32_t t = 0; t < kTileTokens; ++t) {
    for (auto& s : sum[t]) s = hn::Set(d, about.start[t]);
  }
#if SPOLIA_BYTE_PRODUCTS
  if (about.listed[1] + about.listed[2] > 0) [[unlikely]] {
    clear(sum);
    addQuads(factors, tile, 2, rows, quadBytes, sum);
    addQuads(factors, tile, 1, rows, quadBytes, sum);
    for (uint32_t t = 0; t < kTileTokens; ++t) {
      for (auto& s : sum[t]) s = hn::Add(hn::ShiftLeft<8>(s), hn::Set(d, about.start[t]));
    }
  }
#endif
  addQuads(factors, tile, 0, rows, quadBytes, sum);
}

// Calls visit.tile<vectors>(channel, tile, tokens) for all tiles of a panel, and
// visit.last(channel, tile, tokens) for what is left of its channels, less than a vector.
template <typename Visit>
HWY_INLINE void forEachTile(uint32_t width, uint32_t tokens, Visit& visit) {
  const auto lanes = static_cast<uint32_t>(hn::Lanes(SumLanes()));
  const auto left = [&](uint32_t tile) {
    return std::min(kTileTokens, tokens - tile * kTileTokens);
  };
  const uint32_t tiles = (tokens + kTileTokens - 1) / kTileTokens;
  uint32_t c = 0;
  if constexpr (kMostVectors == 4) {
    for (; c + 4 * lanes <= width; c += 4 * lanes) {
      for (uint32_t i = 0; i < tiles; ++i) visit.template tile<4>(c, i, left(i));
    }
  }
  for (; c + 2 * lanes <= width; c += 2 * lanes) {
    for (uint32_t i = 0; i < tiles; ++i) visit.template tile<2>(c, i, left(i));
  }
  for (; c + lanes <= width; c += lanes) {
    for (uint32_t i = 0; i < tiles; ++i) visit.template tile<1>(c, i, left(i));
  }
  if (c == width) return;
  for (uint32_t i = 0; i < tiles; ++i) visit.last(c, i, left(i));
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace spolia::codec
HWY_AFTER_NAMESPACE();

#endif  // SPOLIA_CODEC_LOSSY_TILE_SUMS_INL_H_
