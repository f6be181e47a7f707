// The reference decides: on every target the same symbols and the same verdict, whatever the bytes.
#include "codec/entropy/rans_simd_decoder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "codec/entropy/rans_scalar.h"
#include "codec/entropy/simd_targets.h"
#include "tests/codec/entropy/rans_samples.h"

namespace spolia::codec {
namespace {

struct Decoded {
  std::vector<uint8_t> symbols;
  bool started = false;
  bool finished = false;

  bool operator==(const Decoded&) const = default;
};

// In pieces of `piece` symbols each.
template <typename Decoder>
Decoded decodeAll(ByteSpan payload, const FrequencyTable& table, size_t count, size_t piece) {
  static Decoder decoder;  // used again and again, as readers do
  Decoded out;
  out.started = decoder.start(payload, table).ok();
  if (!out.started) return out;
  out.symbols.resize(count);
  for (size_t at = 0; at < count; at += piece) {
    decoder.decode(std::span(out.symbols).subspan(at, std::min(piece, count - at)));
  }
  out.finished = decoder.finished();
  return out;
}

class RansSimdDecoderTest : public ::testing::TestWithParam<std::string> {
 protected:
  // What the reference says of a payload, and that this target says so too.
  Decoded expectAgreement(ByteSpan payload, const FrequencyTable& table, size_t count,
                          size_t piece) {
    const Decoded reference = decodeAll<RansDecoder>(payload, table, count, piece);
    EXPECT_TRUE(decodeAll<RansBlockDecoder>(payload, table, count, piece) == reference)
        << count << " symbols in pieces of " << piece << ", payload of " << payload.size();
    return reference;
  }

 private:
  ForcedSimdTarget target_{GetParam()};
};

TEST_P(RansSimdDecoderTest, EveryShortLength) {
  std::mt19937 random(1);
  for (const FrequencyTable& table : sampleTables(random)) {
    for (size_t count = 0; count <= 200; ++count) {
      const auto symbols = drawSymbols(table, count, random);
      ByteWriter payload;
      ransEncode(symbols, table, payload);
      const Decoded out = expectAgreement(payload.view(), table, count, 1 + random() % 100);
      ASSERT_TRUE(out.finished && out.symbols == symbols);
      ASSERT_FALSE(HasFailure());
    }
  }
}

TEST_P(RansSimdDecoderTest, LongOnesInAnyPieces) {
  std::mt19937 random(2);
  for (const FrequencyTable& table : sampleTables(random)) {
    const size_t count = 20000 + random() % 100;
    const auto symbols = drawSymbols(table, count, random);
    ByteWriter payload;
    ransEncode(symbols, table, payload);
    for (size_t piece : {1, 3, 7, 31, 32, 33, 63, 65, 97, 127, 129, 1023, 8192, 30000}) {
      const Decoded out = expectAgreement(payload.view(), table, count, piece);
      ASSERT_TRUE(out.finished && out.symbols == symbols);
      ASSERT_FALSE(HasFailure());
    }
  }
}

TEST_P(RansSimdDecoderTest, TruncatedPayloads) {
  std::mt19937 random(3);
  for (const FrequencyTable& table : sampleTables(random)) {
    const auto symbols = drawSymbols(table, 500, random);
    ByteWriter payload;
    ransEncode(symbols, table, payload);
    for (size_t size = 0; size < payload.size(); ++size) {
      const Decoded out = expectAgreement(payload.view().first(size), table, 500, 160);
      ASSERT_FALSE(out.finished);
      ASSERT_FALSE(HasFailure());
    }
  }
}

TEST_P(RansSimdDecoderTest, DamagedPayloadsAndWrongTablesAndCounts) {
  const uint32_t seed = 4;
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  const auto tables = sampleTables(random);
  for (int round = 0; round < 3000; ++round) {
    const FrequencyTable& table = tables[random() % tables.size()];
    const auto symbols = drawSymbols(table, random() % 700, random);
    ByteWriter out;
    ransEncode(symbols, table, out);
    Bytes payload = out.take();
    for (uint32_t n = random() % 4; n > 0; --n) {
      payload[random() % payload.size()] = static_cast<std::byte>(random());
    }
    if (random() % 4 == 0) payload.resize(random() % (payload.size() + 100));
    const FrequencyTable& used = random() % 4 == 0 ? tables[random() % tables.size()] : table;
    expectAgreement(payload, used, random() % 900, 1 + random() % 200);
    ASSERT_FALSE(HasFailure()) << round;
  }
}

// A payload in memory that ends where it ends: whoever reads past it is seen by ASan.
TEST_P(RansSimdDecoderTest, ReadsNothingBehindThePayload) {
  std::mt19937 random(5);
  const FrequencyTable table = sampleTables(random).back();
  for (size_t words = 0; words < 200; ++words) {
    std::vector<std::byte> payload(kRansLanes * 4 + words * 2);
    for (std::byte& b : payload) b = static_cast<std::byte>(random() | 1);
    payload.shrink_to_fit();
    expectAgreement(payload, table, 1000, 1000);
    ASSERT_FALSE(HasFailure());
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, RansSimdDecoderTest, ::testing::ValuesIn(simdTargets()),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace spolia::codec
