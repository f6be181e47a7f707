// Hostile streams of learnt transforms: any bytes give finite values or an error. And the same
// bits on every instruction set. What this finds shows best under ASan + UBSan.
#include <gtest/gtest.h>

#include "codec/entropy/simd_targets.h"
#include "tests/codec/lossy/fitting_kv.h"
#include "tests/codec/lossy/profile_use.h"
#include "tests/codec/seal_stream.h"

namespace spolia::codec {
namespace {

const std::vector<LayerShape> kHostileLayers{{2, 5}, {1, 8}};

LossySample sampleOf(BlockCut cut, uint32_t tokens = 20) {
  ProfileRecipe recipe;
  recipe.layers = kHostileLayers;
  recipe.cut = cut;
  recipe.mixed = cut == BlockCut::kHead;
  recipe.ownTables = cut == BlockCut::kAll;
  recipe.seed = 3 + static_cast<uint32_t>(cut);
  return LossySample(recipe, madeUpIdentity(tokens), ElementType::kF32);
}

void decodeAnything(const LossySample& sample, ByteSpan stream) {
  const auto header = parseHeader(stream);
  if (!header.ok() || header->layers != kHostileLayers || header->tokens() > 256) return;
  for (ElementType type : {ElementType::kF32, ElementType::kF16}) {
    GoldenKv out(kHostileLayers, header->tokens(), type);
    const Status status = decodeStream(stream, *header, {}, out.target(), sample.profile.get());
    ASSERT_TRUE(!status.ok() || allFinite(out, type));
    KvRange part{1, 2, 1, 3, 0};
    decodeStream(stream, *header, part, out.target(), sample.profile.get()).ignore();  // or error
  }
}

TEST(LossyHostile, EveryFlippedBitIsNoticed) {
  const LossySample sample = sampleOf(BlockCut::kPlane);
  const Bytes stream = sample.encoded(sample.options(2, 16));
  ASSERT_TRUE(verifyStream(stream).ok());
  for (size_t i = 0; i < stream.size(); ++i) {
    Bytes bad = stream;
    bad[i] ^= static_cast<std::byte>(1u << i % 8);
    ASSERT_FALSE(verifyStream(bad).ok()) << "byte " << i;
    decodeAnything(sample, bad);
  }
}

TEST(LossyHostile, EveryTruncationIsNoticed) {
  const LossySample sample = sampleOf(BlockCut::kLayer);
  const Bytes stream = sample.encoded(sample.options(3));
  for (size_t size = 0; size < stream.size(); ++size) {
    const ByteSpan cut = ByteSpan(stream).first(size);
    ASSERT_FALSE(verifyStream(cut).ok()) << size;
    const auto header = parseHeader(cut);
    if (!header.ok()) continue;
    GoldenKv out = sample.like(ElementType::kF32);
    ASSERT_FALSE(decodeStream(cut, *header, {}, out.target(), sample.profile.get()).ok());
  }
}

// Also frames that were cut off or made longer, with tables that say so.
TEST(LossyHostile, FramesOfOtherLengthsAreCorrupt) {
  const LossySample sample = sampleOf(BlockCut::kAll);
  const Bytes stream = sample.encoded(sample.options(1));
  const StreamHeader header = parseHeader(stream).value();
  ASSERT_EQ(header.frames.size(), 1u);
  const ByteSpan whole = ByteSpan(stream).subspan(header.frames[0].offset, header.frames[0].size);
  for (size_t size = 0; size < whole.size() + 5; ++size) {
    if (size == whole.size()) continue;
    Bytes frame = toBytes(whole);
    frame.resize(size);
    const Bytes wrong = assembleStream(header, {frame});
    GoldenKv out = sample.like(ElementType::kF32);
    const Status status =
        decodeStream(wrong, verifyStream(wrong).value(), {}, out.target(), sample.profile.get());
    ASSERT_EQ(status.code(), ErrorCode::kCorrupt) << size << " of " << whole.size();
  }
}

TEST(LossyHostile, DamageBehindValidChecksumsIsHarmless) {
  const uint32_t seed = 20261122;
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  for (BlockCut cut : kAllCuts) {
    const LossySample sample = sampleOf(cut);
    const Bytes stream = sample.encoded(sample.options(2, 16));
    const size_t header = headerLength(stream).value();
    for (int round = 0; round < 1200; ++round) {
      Bytes bad = stream;
      const size_t from = round % 3 == 0 ? 0 : header;
      for (uint32_t n = 1 + random() % 6; n > 0; --n) {
        bad[from + random() % (bad.size() - from)] = static_cast<std::byte>(random());
      }
      sealStream(bad);
      decodeAnything(sample, bad);
      if (HasFatalFailure()) FAIL() << "round " << round;
    }
  }
}

// Gains and spreads of any size: steps that are far too wide or narrow.
TEST(LossyHostile, AnyGainAndSpreadIsHarmless) {
  const LossySample sample = sampleOf(BlockCut::kAll);
  const Bytes stream = sample.encoded(sample.options(1));
  const StreamHeader header = parseHeader(stream).value();
  const ByteSpan whole = ByteSpan(stream).subspan(header.frames[0].offset, header.frames[0].size);
  for (int gain = 0; gain < 256; ++gain) {
    for (int spread : {0, 1, 127, 128, 200, 255}) {
      Bytes frame = toBytes(whole);
      frame[1] = static_cast<std::byte>(gain);
      frame[2] = static_cast<std::byte>(spread);
      decodeAnything(sample, assembleStream(header, {frame}));
    }
  }
}

TEST(LossyHostile, EveryGainEncodesAndDecodes) {
  const LossySample sample = sampleOf(BlockCut::kPlane, 6);
  for (int gain = -128; gain < 128; ++gain) {
    EncodeOptions options = sample.options(2);
    options.gain = static_cast<int8_t>(gain);
    GoldenKv out = sample.decoded(sample.encoded(options));
    ASSERT_TRUE(allFinite(out, ElementType::kF32)) << gain;
  }
}

TEST(LossyHostile, EveryInstructionSetDecodesToTheSameBits) {
  for (BlockCut cut : kAllCuts) {
    const LossySample sample = sampleOf(cut, 37);
    const Bytes stream = sample.encoded(sample.options(2, 16));
    for (ElementType type : {ElementType::kF32, ElementType::kF16, ElementType::kBf16}) {
      const Bytes best = sample.decoded(stream, UINT8_MAX, type).dense();
      for (const std::string& target : simdTargets()) {
        const ForcedSimdTarget forced(target);
        EXPECT_EQ(sample.decoded(stream, UINT8_MAX, type).dense(), best) << target;
      }
    }
  }
}

// What another instruction set encodes may differ in a rounding, and decodes all the same.
TEST(LossyHostile, EveryInstructionSetEncodes) {
  const LossySample sample = sampleOf(BlockCut::kLayer, 37);
  const size_t size = sample.encoded(sample.options()).size();
  for (const std::string& target : simdTargets()) {
    const ForcedSimdTarget forced(target);
    const Bytes stream = sample.encoded(sample.options());
    EXPECT_NEAR(static_cast<double>(stream.size()), static_cast<double>(size), 8) << target;
    sample.decoded(stream);
  }
}

}  // namespace
}  // namespace spolia::codec
