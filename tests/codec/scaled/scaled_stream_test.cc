// Streams without a profile through the codec's face: how near values come back, levels, ranges.
#include <gtest/gtest.h>

#include <cfloat>

#include "codec/entropy/simd_targets.h"
#include "codec/scaled/scaled_frame.h"
#include "codec/values/quant_rows.h"
#include "tests/codec/codec_samples.h"
#include "tests/codec/golden_kv.h"

namespace spolia::codec {
namespace {

constexpr ElementType kTypes[] = {ElementType::kF32, ElementType::kF16, ElementType::kBf16};
constexpr Preset kPresets[] = {Preset::kHigh, Preset::kBalanced, Preset::kSmall};

EncodeOptions optionsOf(Preset preset, uint8_t levels = 2, uint32_t tokenGroup = 256) {
  EncodeOptions out;
  out.preset = preset;
  out.levels = levels;
  out.tokenGroup = tokenGroup;
  return out;
}

Bytes encoded(const GoldenKv& kv, uint32_t tokens, const EncodeOptions& options) {
  const auto stream = encodeStream(sampleIdentity(tokens), kv.layers(), kv.view(), options);
  EXPECT_TRUE(stream.ok()) << stream.status().toString();
  return stream.ok() ? *stream : Bytes();
}

GoldenKv decoded(ByteSpan stream, ElementType type, uint8_t maxLevel = UINT8_MAX) {
  const auto header = verifyStream(stream);
  EXPECT_TRUE(header.ok()) << header.status().toString();
  GoldenKv out(header->layers, header->tokens(), type);
  KvRange range;
  range.maxLevel = maxLevel;
  const Status status = decodeStream(stream, *header, range, out.target());
  EXPECT_TRUE(status.ok()) << status.toString();
  return out;
}

std::vector<float> floatsOf(GoldenKv& kv, ElementType type) {
  const Bytes dense = kv.dense();
  std::vector<float> out(dense.size() / elementSize(type));
  widenRow(dense.data(), type, out.size(), out.data());
  return out;
}

// The values of each head, of all tokens: what has one step. visit(index of the value, head).
template <typename Visit>
void forEachValue(const std::vector<LayerShape>& layers, uint32_t tokens, Visit visit) {
  size_t i = 0;
  size_t firstHead = 0;
  for (const LayerShape& shape : layers) {
    for (int plane = 0; plane < 2; ++plane, firstHead += shape.kvHeads) {
      for (uint32_t t = 0; t < tokens; ++t) {
        for (uint32_t c = 0; c < shape.channels(); ++c) visit(i++, firstHead + c / shape.headDim);
      }
    }
  }
}

// A mean of squares by head.
std::vector<double> squaresByHead(const std::vector<LayerShape>& layers, uint32_t tokens,
                                  const std::vector<float>& values) {
  std::vector<double> sum, count;
  forEachValue(layers, tokens, [&](size_t i, size_t head) {
    sum.resize(std::max(sum.size(), head + 1));
    count.resize(sum.size());
    sum[head] += double{values[i]} * double{values[i]};
    ++count[head];
  });
  for (size_t h = 0; h < sum.size(); ++h) sum[h] /= count[h];
  return sum;
}

const std::vector<std::vector<LayerShape>> kShapes{{{2, 16}, {2, 16}}, {{1, 5}}, {{3, 7}, {2, 3}},
                                                   {{4, 64}},          {{1, 1}}, {{2, 130}}};

// Nothing is clipped: every value is half a step away at most, and rounded to its type.
TEST(ScaledStream, EveryValueIsWithinHalfAStep) {
  uint32_t seed = 0;
  for (const auto& layers : kShapes) {
    for (Preset preset : kPresets) {
      for (uint8_t levels = 1; levels <= 3; ++levels) {
        const uint32_t tokens = 90;
        GoldenKv kv(layers, tokens, ElementType::kF32);
        kv.fill(++seed);
        const Bytes stream = encoded(kv, tokens, optionsOf(preset, levels));
        const auto header = parseHeader(stream).value();
        EXPECT_EQ(header.levels, levels);
        EXPECT_TRUE(header.profile.isZero());
        GoldenKv back = decoded(stream, ElementType::kF32);
        const auto from = floatsOf(kv, ElementType::kF32);
        const auto to = floatsOf(back, ElementType::kF32);
        // The steps, as the frames have them.
        std::vector<float> steps;
        for (uint32_t layer = 0; layer < layers.size(); ++layer) {
          const FrameEntry& f = header.frames[layer];
          ByteReader in(ByteSpan(stream).subspan(f.offset + 1, f.size - 1));
          ScaledScratch scratch;
          layOut(std::vector<LayerShape>(2, layers[layer]), tokens, scratch);
          ASSERT_TRUE(readScaledFrame(in, 0, levels, scratch).ok());
          steps.insert(steps.end(), scratch.step.begin(), scratch.step.end());
        }
        forEachValue(layers, tokens, [&](size_t i, size_t head) {
          ASSERT_NEAR(from[i], to[i], steps[head] * 0.5001f + std::abs(from[i]) * 1e-6f) << i;
        });
      }
    }
  }
}

// The error is that of the preset's step: a share of what the head's values spread.
TEST(ScaledStream, TheErrorFollowsPresetAndGain) {
  const std::vector<LayerShape> layers{{2, 64}};
  const uint32_t tokens = 256;
  GoldenKv kv(layers, tokens, ElementType::kF32);
  kv.fill(3);
  const auto from = floatsOf(kv, ElementType::kF32);
  const auto error = [&](Preset preset, int8_t gain) {
    EncodeOptions options = optionsOf(preset);
    options.gain = gain;
    GoldenKv back = decoded(encoded(kv, tokens, options), ElementType::kF32);
    auto to = floatsOf(back, ElementType::kF32);
    for (size_t i = 0; i < to.size(); ++i) to[i] -= from[i];
    return std::sqrt(squaresByHead(layers, tokens, to)[1]);
  };
  const double high = error(Preset::kHigh, 0);
  EXPECT_NEAR(error(Preset::kHigh, 4) / high, 2, 0.1);
  EXPECT_NEAR(error(Preset::kHigh, -4) / high, 0.5, 0.03);
  EXPECT_NEAR(error(Preset::kBalanced, 0) / high, 0.4 / 0.18, 0.1);
  EXPECT_NEAR(error(Preset::kSmall, 0) / high, 0.55 / 0.18, 0.2);
}

TEST(ScaledStream, MoreLevelsErrLessAndCostLittle) {
  const std::vector<LayerShape> layers{{2, 64}, {2, 64}};
  const uint32_t tokens = 256;
  GoldenKv kv(layers, tokens, ElementType::kF16);
  kv.fill(4);
  const auto from = floatsOf(kv, ElementType::kF16);
  const size_t one = encoded(kv, tokens, optionsOf(Preset::kHigh, 1)).size();
  const Bytes stream = encoded(kv, tokens, optionsOf(Preset::kHigh, 3));
  EXPECT_LT(static_cast<double>(stream.size()), 1.06 * static_cast<double>(one));
  double before = 1e30;
  for (uint8_t level = 0; level < 3; ++level) {
    GoldenKv back = decoded(stream, ElementType::kF32, level);
    const auto to = floatsOf(back, ElementType::kF32);
    double error = 0;
    for (size_t i = 0; i < to.size(); ++i) error += std::pow(to[i] - from[i], 2);
    EXPECT_LT(error, before / 6);
    before = error;
  }
}

// Level after level into the same memory: what all of them give at once, but for the type's
// rounding.
TEST(ScaledStream, LevelAfterLevelGivesWhatAllAtOnceDo) {
  const std::vector<LayerShape> layers{{3, 6}, {1, 9}};
  const uint32_t tokens = 19;
  for (ElementType type : kTypes) {
    for (uint8_t levels = 1; levels <= 3; ++levels) {
      GoldenKv kv(layers, tokens, ElementType::kF32);
      kv.fill(levels);
      const Bytes stream = encoded(kv, tokens, optionsOf(Preset::kHigh, levels, 8));
      const StreamHeader header = verifyStream(stream).value();
      GoldenKv got(layers, tokens, type);
      DecodeScratch scratch;
      for (uint32_t i = 0; i < header.frames.size(); ++i) {
        const FrameEntry& f = header.frames[i];
        const FrameBytes frame{i, ByteSpan(stream).subspan(f.offset, f.size)};
        ASSERT_TRUE(decodeFrame(header, frame, {}, got.target(), nullptr, &scratch).ok());
      }
      GoldenKv whole = decoded(stream, type);
      const auto one = floatsOf(got, type);
      const auto other = floatsOf(whole, type);
      const float unit = type == ElementType::kF32   ? 1e-6f
                         : type == ElementType::kF16 ? 1.0f / 2048
                                                     : 1.0f / 256;
      for (size_t i = 0; i < one.size(); ++i) {
        ASSERT_NEAR(one[i], other[i], unit * levels * (std::abs(other[i]) + 8)) << i;
      }
    }
  }
}

// Frames as they were fetched, in buffers of their own, have the bits of the stream; others than
// those asked for are told.
TEST(ScaledStream, FetchedFramesAreDecodedTogether) {
  const std::vector<LayerShape> layers{{3, 6}, {1, 9}};
  const uint32_t tokens = 19;
  GoldenKv kv(layers, tokens, ElementType::kF32);
  kv.fill(3);
  const Bytes stream = encoded(kv, tokens, optionsOf(Preset::kHigh, 3, 8));
  const StreamHeader header = verifyStream(stream).value();
  for (uint8_t maxLevel : {0, 1, 2}) {
    KvRange range;
    range.maxLevel = maxLevel;
    std::vector<Bytes> bytes;
    std::vector<FrameBytes> frames;
    for (uint32_t index : coveringFrames(header, range)) {
      const auto& f = header.frames[index];
      const ByteSpan view = ByteSpan(stream).subspan(f.offset, f.size);
      frames.push_back({index, bytes.emplace_back(view.begin(), view.end())});
    }
    GoldenKv got(layers, tokens, ElementType::kF16);
    ASSERT_TRUE(decodeFrames(header, frames, range, got.target()).ok());
    EXPECT_EQ(got.dense(), decoded(stream, ElementType::kF16, maxLevel).dense());

    const auto refused = [&](const std::vector<FrameBytes>& others) {
      return decodeFrames(header, others, range, got.target()).code();
    };
    std::vector<FrameBytes> fewer(frames.begin(), frames.end() - 1);
    EXPECT_EQ(refused(fewer), ErrorCode::kInvalidArgument);
    std::vector<FrameBytes> more = frames;
    more.push_back(frames.back());
    EXPECT_EQ(refused(more), ErrorCode::kInvalidArgument);
    std::vector<FrameBytes> swapped = frames;
    std::swap(swapped[0], swapped[1]);
    EXPECT_EQ(refused(swapped), ErrorCode::kInvalidArgument);
    bytes.back().back() ^= std::byte{1};
    frames.back().bytes = bytes.back();
    EXPECT_EQ(refused(frames), ErrorCode::kCorrupt);
  }
}

TEST(ScaledStream, AnyRangeHasTheBitsOfTheWhole) {
  const std::vector<LayerShape> layers{{2, 8}, {1, 5}, {3, 4}};
  const uint32_t tokens = 41;
  const uint32_t seed = 5;
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  for (Preset preset : kPresets) {
    GoldenKv kv(layers, tokens, ElementType::kF16);
    kv.fill(random());
    const Bytes stream = encoded(kv, tokens, optionsOf(preset, 2, 1 + random() % 20));
    const StreamHeader header = parseHeader(stream).value();
    for (ElementType type : kTypes) {
      GoldenKv whole = decoded(stream, type);
      for (int round = 0; round < 25; ++round) {
        KvRange range;
        range.layerBegin = random() % 3;
        range.layerEnd = range.layerBegin + 1 + random() % (3 - range.layerBegin);
        range.tokenBegin = random() % tokens;
        range.tokenEnd = range.tokenBegin + 1 + random() % (tokens - range.tokenBegin);
        GoldenKv part(layers, tokens, type);
        part.fillBits(3);
        GoldenKv expected = part;
        KvTarget target = part.target();
        target.base = target.at(range.layerBegin, Plane::kK, 0, range.tokenBegin);
        ASSERT_TRUE(decodeStream(stream, header, range, target).ok());
        for (uint32_t layer = range.layerBegin; layer < range.layerEnd; ++layer) {
          for (Plane plane : {Plane::kK, Plane::kV}) {
            for (uint32_t h = 0; h < layers[layer].kvHeads; ++h) {
              for (uint32_t t = range.tokenBegin; t < range.tokenEnd; ++t) {
                std::memcpy(expected.target().at(layer, plane, h, t),
                            whole.target().at(layer, plane, h, t),
                            layers[layer].headDim * elementSize(type));
              }
            }
          }
        }
        ASSERT_EQ(part.dense(), expected.dense());
      }
    }
  }
}

// A head of channels that never change: zeros as zeros, other values to 2^-9 of themselves, down to
// 2^-13 of the largest.
TEST(ScaledStream, ConstantsComeBack) {
  for (ElementType type : kTypes) {
    for (uint32_t tokens : {2u, 3u, 40u}) {
      SampleKv kv(1, {2, 12}, tokens, type);
      const float values[] = {0, 1, -1, 100, 3.14159f, -0.6f, 7e-1f, 4000, 0, 12, 13, -5};
      for (size_t i = 0; i < kv.count(); ++i) kv.set(i, values[i % 12]);
      const Bytes stream = encodeStream(sampleIdentity(tokens), kv.layers, kv.view(), {}).value();
      SampleKv out(1, {2, 12}, tokens, ElementType::kF32);
      ASSERT_TRUE(decodeStream(stream, verifyStream(stream).value(), {}, out.target()).ok());
      for (size_t i = 0; i < kv.count(); ++i) {
        ASSERT_NEAR(out.get(i), kv.get(i), std::abs(kv.get(i)) / 512) << tokens << ' ' << i;
      }
    }
  }
}

// One token has no spread: its values stand for it, and take a byte or two each.
TEST(ScaledStream, OneTokenIsCodedLikeOthers) {
  SampleKv kv(2, {2, 64}, 1, ElementType::kF16);
  std::mt19937 random(2);
  std::normal_distribution<float> normal;
  for (size_t i = 0; i < kv.count(); ++i) kv.set(i, normal(random));
  const Bytes stream = encodeStream(sampleIdentity(1), kv.layers, kv.view(), {}).value();
  const StreamHeader header = parseHeader(stream).value();
  EXPECT_LT(stream.size() - header.headerBytes, kv.count() * 8 / 5);
  SampleKv out(2, {2, 64}, 1, ElementType::kF32);
  ASSERT_TRUE(decodeStream(stream, header, {}, out.target()).ok());
  for (size_t i = 0; i < kv.count(); ++i) ASSERT_NEAR(out.get(i), kv.get(i), 0.11);
}

TEST(ScaledStream, ZerosTakeAlmostNothing) {
  SampleKv kv(1, {4, 64}, 256, ElementType::kF16);
  const Bytes stream = encodeStream(sampleIdentity(256), kv.layers, kv.view(), {}).value();
  const StreamHeader header = parseHeader(stream).value();
  // Offsets of a byte, classes of four channels, steps of heads, for K and V and, but the first, in
  // both levels.
  EXPECT_LE(stream.size() - header.headerBytes, 2u * 256 + 2 * 2 * 64 + 2 * 2 * 8 + 2 * 2);
  SampleKv out(1, {4, 64}, 256, ElementType::kF16);
  for (size_t i = 0; i < out.count(); ++i) out.set(i, 5);
  ASSERT_TRUE(decodeStream(stream, header, {}, out.target()).ok());
  EXPECT_EQ(out.bytes, kv.bytes);
}

// One value that is thousands of times the others is kept, and the others at half its step.
TEST(ScaledStream, OutliersAreKept) {
  for (float outlier : {300.0f, 6e4f, -6e4f}) {
    SampleKv kv(1, {1, 16}, 64, ElementType::kF16);
    kv.fill(6);
    kv.set(77, outlier);
    const Bytes stream = encodeStream(sampleIdentity(64), kv.layers, kv.view(), {}).value();
    SampleKv out(1, {1, 16}, 64, ElementType::kF16);
    ASSERT_TRUE(decodeStream(stream, verifyStream(stream).value(), {}, out.target()).ok());
    EXPECT_NEAR(out.get(77), outlier, std::abs(outlier) / 1024);
    for (size_t i = 0; i < kv.count(); ++i) {
      ASSERT_NEAR(out.get(i), kv.get(i), 1 + std::abs(outlier) / 4000);
    }
  }
}

TEST(ScaledStream, ExtremeValuesStayFinite) {
  const float max = FLT_MAX;
  const float tiny = FLT_TRUE_MIN;
  const float values[] = {max, -max, max, 0, 0, tiny, -max, max, max, 1e30f, 2 * tiny, -3};
  for (int gain : {-128, 0, 127}) {
    SampleKv kv(1, {1, 4}, 3, ElementType::kF32);
    for (size_t i = 0; i < kv.count(); ++i) kv.set(i, values[i % 12]);
    EncodeOptions options;
    options.gain = static_cast<int8_t>(gain);
    const Bytes stream = encodeStream(sampleIdentity(3), kv.layers, kv.view(), options).value();
    for (ElementType type : kTypes) {
      SampleKv out(1, {1, 4}, 3, type);
      ASSERT_TRUE(decodeStream(stream, verifyStream(stream).value(), {}, out.target()).ok());
      for (size_t i = 0; i < out.count(); ++i) ASSERT_TRUE(std::isfinite(out.get(i))) << i;
      if (type != ElementType::kF32 || gain > 0) continue;
      EXPECT_NEAR(out.get(0) / max, 1, 0.2);
      EXPECT_NEAR(out.get(1) / max, -1, 0.2);
    }
  }
}

// Heads that are analysed together may have nothing to do with each other.
TEST(ScaledStream, HeadsOfAnySizesStandSideBySide) {
  for (uint32_t tokens : {1u, 5u}) {
    SampleKv kv(1, {4, 1}, tokens, ElementType::kF32);
    const float values[] = {FLT_MAX, 1e-30f, 0, 3};
    for (size_t i = 0; i < kv.count(); ++i) kv.set(i, values[i % 4]);
    const Bytes stream = encodeStream(sampleIdentity(tokens), kv.layers, kv.view(), {}).value();
    SampleKv out(1, {4, 1}, tokens, ElementType::kF32);
    const Status status = decodeStream(stream, verifyStream(stream).value(), {}, out.target());
    ASSERT_TRUE(status.ok()) << status.toString();
    for (size_t i = 0; i < kv.count(); ++i) {
      ASSERT_NEAR(out.get(i), kv.get(i), kv.get(i) * 0.12f + 1e-16f) << i;
    }
  }
}

TEST(ScaledStream, EveryGainEncodesAndDecodes) {
  GoldenKv kv({{2, 9}}, 30, ElementType::kF16);
  kv.fill(7);
  for (int gain = -128; gain < 128; ++gain) {
    EncodeOptions options = optionsOf(Preset::kBalanced);
    options.gain = static_cast<int8_t>(gain);
    GoldenKv out = decoded(encoded(kv, 30, options), ElementType::kF32);
    for (float v : floatsOf(out, ElementType::kF32)) ASSERT_TRUE(std::isfinite(v)) << gain;
  }
}

TEST(ScaledStream, NamesTheTensorThatIsNotFinite) {
  for (uint16_t bits : {0x7c00, 0xfc00, 0x7e00}) {
    SampleKv kv(3, {1, 4}, 3, ElementType::kF16);
    std::memcpy(&kv.bytes[(3 * 3 * 4 + 5) * 2], &bits, 2);  // layer 1, V
    const Status status =
        encodeStream(sampleIdentity(3), kv.layers, kv.view(), optionsOf(Preset::kSmall)).status();
    EXPECT_EQ(status.code(), ErrorCode::kInvalidArgument);
    EXPECT_NE(status.message().find("layer 1 V"), std::string::npos) << status.message();
  }
}

TEST(ScaledStream, LevelsAreOneToThree) {
  SampleKv kv(1, {1, 4}, 3, ElementType::kF16);
  for (uint8_t levels : {0, 4, 255}) {
    EXPECT_EQ(
        encodeStream(sampleIdentity(3), kv.layers, kv.view(), optionsOf(Preset::kHigh, levels))
            .status()
            .code(),
        ErrorCode::kInvalidArgument);
  }
}

TEST(ScaledStream, RotatedKeysNeedNoProfile) {
  GoldenKv kv({{1, 8}}, 12, ElementType::kBf16);
  kv.fill(9);
  EncodeOptions options = optionsOf(Preset::kSmall);
  options.kForm = KForm::kRotated;
  options.firstPosition = 4711;
  EXPECT_EQ(verifyStream(encoded(kv, 12, options))->firstPosition, 4711u);
}

TEST(ScaledStream, EveryInstructionSetGivesTheSameBits) {
  for (const auto& layers : kShapes) {
    const uint32_t tokens = 53;
    GoldenKv kv(layers, tokens, ElementType::kF16);
    kv.fill(8);
    const Bytes stream = encoded(kv, tokens, optionsOf(Preset::kHigh, 2, 24));
    for (const std::string& target : simdTargets()) {
      const ForcedSimdTarget forced(target);
      EXPECT_EQ(encoded(kv, tokens, optionsOf(Preset::kHigh, 2, 24)), stream) << target;
    }
    for (ElementType type : kTypes) {
      const Bytes best = decoded(stream, type).dense();
      for (const std::string& target : simdTargets()) {
        const ForcedSimdTarget forced(target);
        EXPECT_EQ(decoded(stream, type).dense(), best) << target;
      }
    }
  }
}

// A scratch may have held anything.
TEST(ScaledStream, ScratchIsReused) {
  DecodeScratch scratch;
  std::mt19937 random(11);
  for (int round = 0; round < 40; ++round) {
    const std::vector<LayerShape>& layers = kShapes[random() % kShapes.size()];
    const uint32_t tokens = 1 + random() % 60;
    GoldenKv kv(layers, tokens, ElementType::kF16);
    if (round % 4 != 0) kv.fill(random());
    const Bytes stream = encoded(kv, tokens, optionsOf(Preset::kHigh, 1 + random() % 3));
    GoldenKv out(layers, tokens, ElementType::kF16);
    const StreamHeader header = parseHeader(stream).value();
    ASSERT_TRUE(decodeStream(stream, header, {}, out.target(), nullptr, &scratch).ok());
    ASSERT_EQ(out.dense(), decoded(stream, ElementType::kF16).dense());
  }
}

}  // namespace
}  // namespace spolia::codec
