#include "codec/lossy/coefficient_coder.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "codec/base/varint.h"
#include "tests/codec/lossy/made_up_profile.h"

namespace spolia::codec {
namespace {

// Coefficients of some groups, as a block has them: [token][group][component].
struct Coefficients {
  uint32_t tokens = 0;
  std::vector<uint8_t> classes;
  std::vector<int16_t> values;

  Coefficients(uint32_t tokenCount, std::vector<uint8_t> groupClasses)
      : tokens(tokenCount),
        classes(std::move(groupClasses)),
        values(size_t{tokens} * classes.size() * kPackComponents) {}

  std::vector<CoefficientGroup> groups() {
    std::vector<CoefficientGroup> out;
    for (size_t g = 0; g < classes.size(); ++g) {
      out.push_back(
          {values.data() + g * kPackComponents, classes.size() * kPackComponents, classes[g]});
    }
    return out;
  }
  Bytes written(CoefficientPart part, const PreparedTables& tables = builtInPrepared()) {
    ByteWriter out;
    writeCoefficients(groups(), tokens, part, tables, out);
    return out.take();
  }
  Status read(ByteSpan bytes, CoefficientPart part, int16_t scale = 1,
              const PreparedTables& tables = builtInPrepared()) {
    ByteReader in(bytes);
    CoefficientScratch scratch;
    return readCoefficients(in, groups(), tokens, part, scale, tables, scratch);
  }
};

std::vector<uint8_t> anyClasses(size_t groups, std::mt19937& random) {
  std::vector<uint8_t> out(groups);
  for (uint8_t& c : out) c = static_cast<uint8_t>(random() % kStepClasses);
  return out;
}

// About as wide as their classes; one in `wildOneIn` is anything.
void fillWhole(Coefficients& to, uint32_t wildOneIn, std::mt19937& random) {
  std::normal_distribution<double> normal;
  for (size_t i = 0; i < to.values.size(); ++i) {
    const int32_t above = to.classes[i / kPackComponents % to.classes.size()] - kUnitClass;
    const bool wild = wildOneIn > 0 && random() % wildOneIn == 0;
    const double v = wild ? static_cast<int32_t>(random() % 16383) - kMaxCoefficient
                          : normal(random) * std::exp2(above / 4.0);
    to.values[i] = static_cast<int16_t>(std::clamp(std::lround(v), -8191L, 8191L));
  }
}

void fillFine(Coefficients& to, std::mt19937& random) {
  for (int16_t& v : to.values) v = static_cast<int16_t>(static_cast<int32_t>(random() % 3) - 1);
}

Coefficients sampleOf(uint32_t tokens, uint32_t groups, uint32_t wildOneIn, uint32_t seed) {
  std::mt19937 random(seed);
  Coefficients out(tokens, anyClasses(groups, random));
  fillWhole(out, wildOneIn, random);
  return out;
}

void expectRoundTrip(Coefficients& from, CoefficientPart part, const PreparedTables& tables) {
  const Bytes bytes = from.written(part, tables);
  ASSERT_EQ(from.written(part, tables), bytes);
  Coefficients to(from.tokens, from.classes);
  // What is there before counts for kFine only.
  std::fill(to.values.begin(), to.values.end(), int16_t{100});
  const Status status = to.read(bytes, part, 1, tables);
  ASSERT_TRUE(status.ok()) << status.toString();
  if (part == CoefficientPart::kFine) {
    for (int16_t& v : to.values) v = static_cast<int16_t>(v - 100);
  }
  ASSERT_EQ(to.values, from.values);
}

TEST(CoefficientCoder, EveryLengthComesBack) {
  std::mt19937 random(1);
  const PreparedTables own(madeUpTables(random));
  for (uint32_t tokens = 1; tokens <= 71; ++tokens) {
    const uint32_t groups = 1 + random() % 40;
    for (const PreparedTables* tables : {&builtInPrepared(), &own}) {
      Coefficients whole(tokens == 71 ? 256 : tokens, anyClasses(groups, random));
      fillWhole(whole, tokens % 3 * 10, random);
      expectRoundTrip(whole, CoefficientPart::kWhole, *tables);
      fillFine(whole, random);
      expectRoundTrip(whole, CoefficientPart::kFine, *tables);
      if (HasFatalFailure()) FAIL() << tokens << " tokens, " << groups << " groups";
    }
  }
}

TEST(CoefficientCoder, EveryNumberOfGroupsAndEveryClassComesBack) {
  std::mt19937 random(2);
  for (uint32_t groups = 1; groups <= 40; ++groups) {
    Coefficients some(5, anyClasses(groups, random));
    fillWhole(some, 9, random);
    expectRoundTrip(some, CoefficientPart::kWhole, builtInPrepared());
  }
  for (uint8_t c = 0; c < kStepClasses; ++c) {
    Coefficients one(33, std::vector<uint8_t>(3, c));
    for (int16_t v : {int16_t{0}, int16_t{1}, int16_t{-1}, int16_t{7}, int16_t{-8}, int16_t{127},
                      int16_t{-128}, int16_t{8191}, int16_t{-8191}}) {
      std::fill(one.values.begin(), one.values.end(), v);
      expectRoundTrip(one, CoefficientPart::kWhole, builtInPrepared());
    }
    fillWhole(one, 2, random);  // every other one beyond its class
    expectRoundTrip(one, CoefficientPart::kWhole, builtInPrepared());
    if (HasFatalFailure()) FAIL() << "class " << int{c};
  }
}

TEST(CoefficientCoder, ScaleMultipliesWholeAndFine) {
  Coefficients from = sampleOf(9, 5, 4, 3);
  for (int16_t& v : from.values) v = std::clamp<int16_t>(v, -910, 910);
  const Bytes bytes = from.written(CoefficientPart::kWhole);
  for (int16_t scale : {1, 3, 9}) {
    Coefficients to(9, from.classes);
    ASSERT_TRUE(to.read(bytes, CoefficientPart::kWhole, scale).ok());
    for (size_t i = 0; i < to.values.size(); ++i) {
      ASSERT_EQ(to.values[i], from.values[i] * scale);
    }
  }
  std::mt19937 random(5);
  fillFine(from, random);
  Coefficients to(9, from.classes);
  std::fill(to.values.begin(), to.values.end(), int16_t{-30});
  ASSERT_TRUE(to.read(from.written(CoefficientPart::kFine), CoefficientPart::kFine, 3).ok());
  for (size_t i = 0; i < to.values.size(); ++i) ASSERT_EQ(to.values[i], from.values[i] * 3 - 30);
}

TEST(CoefficientCoder, SilenceTakesAByte) {
  for (CoefficientPart part : {CoefficientPart::kWhole, CoefficientPart::kFine}) {
    Coefficients from(12, {3, 30, 12});
    const Bytes bytes = from.written(part);
    EXPECT_EQ(bytes.size(), 1u);
    expectRoundTrip(from, part, builtInPrepared());
    Coefficients none(12, {});
    expectRoundTrip(none, part, builtInPrepared());
  }
}

// The size is what the distribution says: no class pays for another's symbols.
TEST(CoefficientCoder, SizeFollowsTheEntropy) {
  std::mt19937 random(8);
  Coefficients from(256, {6, 14, 24, 14, 6, 30});
  std::exponential_distribution<double> side;
  for (size_t i = 0; i < from.values.size(); ++i) {
    const int32_t above = from.classes[i / kPackComponents % from.classes.size()] - kUnitClass;
    const double v = side(random) * std::exp2(above / 4.0) / std::sqrt(2.0);
    from.values[i] = static_cast<int16_t>((random() % 2 == 0 ? 1 : -1) * std::lround(v));
  }
  double bits = 0;
  for (size_t i = 0; i < from.values.size(); ++i) {
    const int32_t above = from.classes[i / kPackComponents % from.classes.size()] - kUnitClass;
    const double rate = std::sqrt(2.0) / std::exp2(above / 4.0);
    const int32_t v = std::abs(from.values[i]);
    const double p =
        v == 0 ? 1 - std::exp(-rate / 2) : std::exp(-rate * (v - 0.5)) * (1 - std::exp(-rate)) / 2;
    bits -= std::log2(p);
  }
  const double size = static_cast<double>(from.written(CoefficientPart::kWhole).size());
  EXPECT_LT(size, bits / 8 * 1.03 + 4 * kRansLanes / 2 + 80);
  EXPECT_GT(size, bits / 8 * 0.97);
}

bool inRange(const Coefficients& c, int32_t most) {
  return std::all_of(c.values.begin(), c.values.end(),
                     [&](int16_t v) { return std::abs(v) <= most; });
}

TEST(CoefficientCoder, EveryTruncationIsCorrupt) {
  for (uint32_t seed = 1; seed <= 6; ++seed) {
    Coefficients from = sampleOf(1 + seed * 7, seed, 5, seed);
    const Bytes bytes = from.written(CoefficientPart::kWhole);
    for (size_t size = 0; size < bytes.size(); ++size) {
      const Status status = from.read(ByteSpan(bytes).first(size), CoefficientPart::kWhole);
      ASSERT_EQ(status.code(), ErrorCode::kCorrupt) << size << " of " << bytes.size();
    }
  }
}

TEST(CoefficientCoder, AnyFlippedBitGivesValuesInRangeOrAnError) {
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

TEST(CoefficientCoder, AnyBytesGiveValuesInRangeOrAnError) {
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

TEST(CoefficientCoder, EscapesAreExactlyAsManyAsNeeded) {
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

TEST(CoefficientCoder, FormAndLengthAreChecked) {
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

// A reader's scratch may have held anything.
TEST(CoefficientCoder, ScratchIsReused) {
  CoefficientScratch scratch;
  std::mt19937 random(21);
  for (int round = 0; round < 60; ++round) {
    Coefficients from(1 + random() % 90, anyClasses(1 + random() % 20, random));
    fillWhole(from, 7, random);
    const Bytes bytes = from.written(CoefficientPart::kWhole);
    Coefficients to(from.tokens, from.classes);
    ByteReader in(bytes);
    ASSERT_TRUE(readCoefficients(in, to.groups(), to.tokens, CoefficientPart::kWhole, 1,
                                 builtInPrepared(), scratch)
                    .ok());
    ASSERT_TRUE(in.finished());
    ASSERT_EQ(to.values, from.values);
  }
}

}  // namespace
}  // namespace spolia::codec
