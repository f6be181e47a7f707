#include "codec/codec.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "codec/stream_header.h"
#include "tests/codec/codec_samples.h"

namespace spolia::codec {
namespace {

constexpr LayerShape kShape{4, 64};

Bytes encodeOrDie(const SampleKv& kv, const EncodeOptions& options) {
  auto stream = encodeStream(sampleIdentity(kv.tokens), kv.layers, kv.view(), options);
  EXPECT_TRUE(stream.ok()) << stream.status().toString();
  return stream.ok() ? *stream : Bytes();
}

EncodeOptions lossless(uint32_t tokenGroup = 256) {
  EncodeOptions options;
  options.preset = Preset::kLossless;
  options.tokenGroup = tokenGroup;
  return options;
}

SampleKv decodeAll(ByteSpan stream, const SampleKv& like, ElementType type) {
  SampleKv out(static_cast<uint32_t>(like.layers.size()), like.layers[0], like.tokens, type);
  auto header = verifyStream(stream);
  EXPECT_TRUE(header.ok()) << header.status().toString();
  const Status status = decodeStream(stream, *header, {}, out.target());
  EXPECT_TRUE(status.ok()) << status.toString();
  return out;
}

TEST(Codec, LosslessKeepsEveryBit) {
  for (ElementType type : {ElementType::kF32, ElementType::kF16, ElementType::kBf16}) {
    SampleKv kv(2, kShape, 100, type);
    kv.fill(7);
    const Bytes stream = encodeOrDie(kv, lossless(32));
    EXPECT_EQ(decodeAll(stream, kv, type).bytes, kv.bytes) << elementTypeName(type);
    EXPECT_LT(stream.size(), kv.bytes.size()) << elementTypeName(type);
  }
}

TEST(Codec, LosslessKeepsAnyBitPatternAndGrowsLittle) {
  for (ElementType type : {ElementType::kF32, ElementType::kF16, ElementType::kBf16}) {
    SampleKv kv(1, {3, 5}, 77, type);
    std::mt19937 random(11);
    for (std::byte& b : kv.bytes) b = static_cast<std::byte>(random());
    const Bytes stream = encodeOrDie(kv, lossless());
    EXPECT_EQ(decodeAll(stream, kv, type).bytes, kv.bytes) << elementTypeName(type);
    const auto header = parseHeader(stream);
    ASSERT_TRUE(header.ok());
    // A mode and a length per byte plane, a form per plane, one byte of coding.
    EXPECT_LE(stream.size() - header->headerBytes, kv.bytes.size() + 2 * (4 * 5 + 1) + 1);
  }
}

TEST(Codec, LosslessBf16IsMuchSmaller) {
  SampleKv kv(2, kShape, 256, ElementType::kBf16);
  kv.fill(3);
  EXPECT_GE(static_cast<double>(kv.bytes.size()) / encodeOrDie(kv, lossless()).size(), 1.4);
}

TEST(Codec, LosslessWidensExactlyAndRefusesToNarrow) {
  for (ElementType type : {ElementType::kF16, ElementType::kBf16}) {
    SampleKv kv(1, kShape, 40, type);
    kv.fill(5);
    const Bytes stream = encodeOrDie(kv, lossless());
    const SampleKv wide = decodeAll(stream, kv, ElementType::kF32);
    for (size_t i = 0; i < kv.count(); ++i) ASSERT_EQ(wide.get(i), kv.get(i));
    const auto other = type == ElementType::kF16 ? ElementType::kBf16 : ElementType::kF16;
    SampleKv narrow(1, kShape, 40, other);
    EXPECT_EQ(decodeStream(stream, *parseHeader(stream), {}, narrow.target()).code(),
              ErrorCode::kInvalidArgument);
  }
}

TEST(Codec, HighRoundsToNearestInNarrowTargets) {
  SampleKv kv(1, kShape, 50, ElementType::kF32);
  kv.fill(13);
  const Bytes stream = encodeOrDie(kv, {});
  const SampleKv wide = decodeAll(stream, kv, ElementType::kF32);
  for (ElementType type : {ElementType::kF16, ElementType::kBf16}) {
    const SampleKv narrow = decodeAll(stream, kv, type);
    const float relative = type == ElementType::kF16 ? 1.0f / 2048 : 1.0f / 256;
    for (size_t i = 0; i < kv.count(); ++i) {
      ASSERT_NEAR(narrow.get(i), wide.get(i), std::abs(wide.get(i)) * relative + 1e-7f);
    }
  }
}

TEST(Codec, RefusesBadRequests) {
  SampleKv kv(1, {1, 4}, 3, ElementType::kF32);
  const auto code = [&](const ChunkIdentity& id, std::vector<LayerShape> layers, EncodeOptions o) {
    return encodeStream(id, layers, kv.view(), o).status().code();
  };
  EXPECT_EQ(code(sampleIdentity(0), kv.layers, {}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(sampleIdentity(kMaxChunkTokens + 1), kv.layers, {}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(sampleIdentity(3), {}, {}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(sampleIdentity(3), {{1, 0}}, {}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(sampleIdentity(3), kv.layers, lossless(0)), ErrorCode::kInvalidArgument);
  EncodeOptions options;
  options.levels = 4;
  EXPECT_EQ(code(sampleIdentity(3), kv.layers, options), ErrorCode::kInvalidArgument);
}

// Any box of the chunk, decoded frame by frame into memory that begins at the box.
TEST(Codec, RangesGiveTheSameValuesAndTouchNothingElse) {
  for (Preset preset : {Preset::kLossless, Preset::kHigh, Preset::kSmall}) {
    SampleKv kv(3, {2, 8}, 70, ElementType::kF32);
    kv.fill(21);
    EncodeOptions options;
    options.preset = preset;
    options.tokenGroup = 16;
    const Bytes stream = encodeOrDie(kv, options);
    const SampleKv whole = decodeAll(stream, kv, ElementType::kF32);
    const auto header = parseHeader(stream);
    const uint32_t seed = 99;
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    for (int round = 0; round < 50; ++round) {
      KvRange range;
      range.layerBegin = random() % 3;
      range.layerEnd = range.layerBegin + 1 + random() % (3 - range.layerBegin);
      range.tokenBegin = random() % 70;
      range.tokenEnd = range.tokenBegin + 1 + random() % (70 - range.tokenBegin);
      SampleKv box(range.layerEnd - range.layerBegin, {2, 8}, range.tokenEnd - range.tokenBegin,
                   ElementType::kF32);
      std::fill(box.bytes.begin(), box.bytes.end(), std::byte{0x7f});
      ASSERT_TRUE(decodeStream(stream, *header, range, box.target()).ok());
      size_t i = 0;
      for (uint32_t plane = range.layerBegin * 2; plane < range.layerEnd * 2; ++plane) {
        for (uint32_t t = range.tokenBegin; t < range.tokenEnd; ++t) {
          for (uint32_t c = 0; c < 16; ++c, ++i) {
            ASSERT_EQ(box.get(i), whole.get((plane * 70 + t) * 16 + c));
          }
        }
      }
    }
  }
}

TEST(Codec, CoveringFramesAreTheFewest) {
  SampleKv kv(3, {1, 4}, 70, ElementType::kF32);
  const auto header = parseHeader(encodeOrDie(kv, lossless(32)));
  ASSERT_TRUE(header.ok());
  KvRange range;
  range.layerBegin = 1;
  range.layerEnd = 2;
  range.tokenBegin = 31;
  range.tokenEnd = 33;
  EXPECT_EQ(coveringFrames(*header, range), (std::vector<uint32_t>{3, 4}));
  EXPECT_EQ(coveringFrames(*header, {}).size(), 9u);
  range.tokenEnd = 31;
  EXPECT_TRUE(coveringFrames(*header, range).empty());
  range.layerBegin = 3;
  range.layerEnd = 9;
  EXPECT_TRUE(coveringFrames(*header, range).empty());

  EncodeOptions options;
  options.tokenGroup = 32;
  options.levels = 3;
  const auto levels = parseHeader(encodeOrDie(kv, options));
  range = {1, 2, 31, 33, 1};
  EXPECT_EQ(coveringFrames(*levels, range), (std::vector<uint32_t>{3, 4, 12, 13}));
  EXPECT_EQ(coveringFrames(*levels, {}).size(), 27u);
}

TEST(Codec, HeaderIsASmallPartOfTheStream) {
  SampleKv kv(12, kShape, 256, ElementType::kF16);
  kv.fill(2);
  for (uint32_t tokenGroup : {256u, 64u, 16u}) {
    EncodeOptions options;
    options.tokenGroup = tokenGroup;
    const Bytes stream = encodeOrDie(kv, options);
    EXPECT_LE(headerLength(stream).value(), stream.size() * 0.03) << tokenGroup;
  }
}

TEST(Codec, SwappedFramesAreCaught) {
  SampleKv kv(2, {1, 4}, 8, ElementType::kF32);  // all zero: both frames have the same bytes
  const Bytes stream = encodeOrDie(kv, lossless());
  const auto header = parseHeader(stream);
  ASSERT_EQ(header->frames.size(), 2u);
  const auto bytes = [&](uint32_t i) {
    return ByteSpan(stream).subspan(header->frames[i].offset, header->frames[i].size);
  };
  ASSERT_TRUE(std::equal(bytes(0).begin(), bytes(0).end(), bytes(1).begin(), bytes(1).end()));
  EXPECT_TRUE(verifyFrame(*header, {0, bytes(0)}).ok());
  EXPECT_NE(header->frames[0].checksum, header->frames[1].checksum);
  const auto other = encodeStream(sampleIdentity(8, 5), kv.layers, kv.view(), lossless());
  EXPECT_NE(parseHeader(*other)->frames[0].checksum, header->frames[0].checksum);
  EXPECT_EQ(verifyFrame(*header, {2, bytes(0)}).code(), ErrorCode::kCorrupt);
}

TEST(Codec, NamesOfPresets) {
  for (Preset p : {Preset::kLossless, Preset::kHigh, Preset::kBalanced, Preset::kSmall}) {
    EXPECT_EQ(presetFromName(presetName(p)).value(), p);
  }
  EXPECT_EQ(presetFromName("best").status().code(), ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace spolia::codec
