// Coefficients whose bytes were damaged: values in range or an error.
#include <gtest/gtest.h>

#include "codec/base/varint.h"
#include "tests/codec/lossy/made_up_coefficients.h"

namespace spolia::codec {
namespace {

bool inRange(const Coefficients& c, int32_t most) {
  return std::all_of(c.values.begin(), c.values.end(),
                     [&](int16_t v) { return std::abs(v) <= most; });
}

TEST(CoefficientDamage, EveryTruncationIsCorrupt) {
  for (uint32_t seed = 1; seed <= 6; ++seed) {
    Coefficients from = sampleOf(1 + seed * 7, seed, 5, seed);
    const Bytes bytes = from.written(CoefficientPart::kWhole);
    for (size_t size = 0; size < bytes.size(); ++size) {
      const Status status = from.read(ByteSpan(bytes).first(size), CoefficientPart::kWhole);
      ASSERT_EQ(status.code(), ErrorCode::kCorrupt) << size << " of " << bytes.size();
    }
  }
}

TEST(CoefficientDamage, AnyFlippedBitGivesValuesInRangeOrAnError) {
  for (uint32_t seed = 1; seed <= 4; ++seed) {
    Coefficients from = sampleOf(3 + seed * 9, 2 * seed, 5, seed);
    for (CoefficientPart part : {CoefficientPart::kWhole, CoefficientPart::kFine}) {
      std::mt19937 random(seed);
      if (part == CoefficientPart::kFine) fillFine(from, random);
      const Bytes bytes = from.written(part);
      for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
        Bytes bad = bytes;
        bad[bit / 8] ^= static_cast<std::byte>(1u << bit % 8);
        Coefficients to(from.tokens, from.classes);
        const Status status = to.read(bad, part, 9);
        ASSERT_TRUE(status.ok() || status.code() == ErrorCode::kCorrupt);
        ASSERT_TRUE(inRange(to, part == CoefficientPart::kFine ? 9 : kMaxCoefficient));
      }
    }
  }
}

TEST(CoefficientDamage, AnyBytesGiveValuesInRangeOrAnError) {
  std::mt19937 random(11);
  for (int round = 0; round < 3000; ++round) {
    Coefficients to(1 + random() % 40, anyClasses(1 + random() % 6, random));
    Bytes bytes(random() % 400);
    for (std::byte& b : bytes) b = static_cast<std::byte>(random());
    if (bytes.size() > 2) {
      bytes[0] = std::byte{1};
      bytes[1] = static_cast<std::byte>(random() % 30);
    }
    to.read(bytes, CoefficientPart::kWhole).ignore();  // an error is as good as values
    ASSERT_TRUE(inRange(to, kMaxCoefficient));
  }
}

// The list of escaped values taken apart and put together with another.
Bytes withEscapes(ByteSpan bytes, const std::vector<uint32_t>& coded) {
  ByteReader in(bytes);
  in.u8();
  uint32_t size = 0;
  EXPECT_TRUE(readVarint(in, size));
  in.skip(size);
  ByteWriter list;
  for (uint32_t v : coded) writeVarint(v, list);
  ByteWriter out;
  out.u8(1);
  writeVarint(static_cast<uint32_t>(list.size()), out);
  out.bytes(list.view());
  out.bytes(in.bytes(in.remaining()));
  return out.take();
}

TEST(CoefficientDamage, EscapesAreExactlyAsManyAsNeeded) {
  Coefficients from(3, {0});
  from.values = {0, 0, 500, 0, 0, 0, 0, 0, 0, -8191, 0, 8191};
  const std::vector<uint32_t> right{0, 0, 1000, 0, 0, 16381, 0, 16382};
  const Bytes bytes = from.written(CoefficientPart::kWhole);
  ASSERT_EQ(withEscapes(bytes, right), bytes);
  const auto codeOf = [&](std::vector<uint32_t> coded) {
    Coefficients to(3, {0});
    return to.read(withEscapes(bytes, coded), CoefficientPart::kWhole).code();
  };
  EXPECT_EQ(codeOf(right), ErrorCode::kOk);
  std::vector<uint32_t> other(right.begin(), right.end() - 1);
  EXPECT_EQ(codeOf(other), ErrorCode::kCorrupt);
  EXPECT_EQ(codeOf({}), ErrorCode::kCorrupt);
  other = right;
  other.push_back(0);
  EXPECT_EQ(codeOf(other), ErrorCode::kCorrupt);
  for (uint32_t beyond : {16383u, 16384u, 0x7fffffffu, 0x80000000u, UINT32_MAX}) {
    other = right;
    other.front() = beyond;
    EXPECT_EQ(codeOf(other), ErrorCode::kCorrupt) << beyond;
  }
}

TEST(CoefficientDamage, FormAndLengthAreChecked) {
  Coefficients from = sampleOf(4, 2, 0, 1);
  const Bytes bytes = from.written(CoefficientPart::kWhole);
  for (int form = 2; form < 256; ++form) {
    Bytes bad = bytes;
    bad[0] = static_cast<std::byte>(form);
    ASSERT_EQ(from.read(bad, CoefficientPart::kWhole).code(), ErrorCode::kCorrupt);
  }
  Bytes longer = bytes;
  longer.resize(bytes.size() + 2);
  EXPECT_EQ(from.read(longer, CoefficientPart::kWhole).code(), ErrorCode::kCorrupt);
  ByteWriter huge;
  huge.u8(1);
  writeVarint(UINT32_MAX, huge);
  EXPECT_EQ(from.read(huge.view(), CoefficientPart::kWhole).code(), ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace spolia::codec
