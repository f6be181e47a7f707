#include "codec/entropy/rans_scalar.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace spolia::codec {
namespace {

std::vector<uint8_t> bell(size_t count, double width, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal(128, width);
  std::vector<uint8_t> out(count);
  for (uint8_t& s : out) s = static_cast<uint8_t>(std::min(255.0, std::max(0.0, normal(random))));
  return out;
}

TEST(Rans, RoundTripsAnyLengthInPieces) {
  std::mt19937 random(5);
  for (size_t count : {1, 2, 31, 32, 33, 63, 64, 65, 1000, 4099}) {
    for (double width : {0.1, 3.0, 40.0, 400.0}) {
      const auto symbols = bell(count, width, static_cast<uint32_t>(count));
      const FrequencyTable table = normalise(countSymbols(symbols));
      ByteWriter payload;
      ransEncode(symbols, table, payload);
      RansDecoder decoder;
      ASSERT_TRUE(decoder.start(payload.view(), table).ok());
      std::vector<uint8_t> out(count);
      for (size_t at = 0; at < count;) {
        const size_t piece = std::min<size_t>(count - at, 1 + random() % 100);
        decoder.decode(std::span(out).subspan(at, piece));
        at += piece;
      }
      ASSERT_EQ(out, symbols);
      ASSERT_TRUE(decoder.finished());
    }
  }
}

TEST(Rans, ComesCloseToTheEntropy) {
  const auto symbols = bell(65536, 20, 1);
  const SymbolCounts counts = countSymbols(symbols);
  const FrequencyTable table = normalise(counts);
  ByteWriter payload;
  ransEncode(symbols, table, payload);
  EXPECT_LT(payload.size(), codedBits(counts, table) / 8 * 1.001 + 4 * kRansLanes);
}

TEST(Rans, LacksOrLeftOverWordsAreNoticed) {
  const auto symbols = bell(5000, 30, 2);
  const FrequencyTable table = normalise(countSymbols(symbols));
  ByteWriter payload;
  ransEncode(symbols, table, payload);
  std::vector<uint8_t> out(symbols.size());
  RansDecoder decoder;
  ASSERT_TRUE(decoder.start(payload.view().first(payload.size() - 2), table).ok());
  decoder.decode(out);
  EXPECT_FALSE(decoder.finished());
  payload.u16(7);
  ASSERT_TRUE(decoder.start(payload.view(), table).ok());
  decoder.decode(out);
  EXPECT_FALSE(decoder.finished());
}

TEST(Rans, RefusesPayloadsThatCannotBe) {
  const auto symbols = bell(100, 30, 2);
  const FrequencyTable table = normalise(countSymbols(symbols));
  ByteWriter payload;
  ransEncode(symbols, table, payload);
  RansDecoder decoder;
  EXPECT_FALSE(decoder.start(payload.view().first(127), table).ok());
  EXPECT_FALSE(decoder.start(payload.view().first(129), table).ok());
  payload.patch(4, uint32_t{kRansStateFloor - 1});
  EXPECT_FALSE(decoder.start(payload.view(), table).ok());
}

}  // namespace
}  // namespace spolia::codec
