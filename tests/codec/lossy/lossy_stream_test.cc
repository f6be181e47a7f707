// `balanced` and `small` through the codec's face: ranges, levels, headers.
#include <gtest/gtest.h>

#include "codec/lossy/lossy_frame.h"
#include "codec/values/quant_rows.h"
#include "tests/codec/lossy/fitting_kv.h"

namespace spolia::codec {
namespace {

// Every value of a box, row by row.
template <typename Visit>
void forEachRow(const KvRange& box, Visit visit) {
  for (uint32_t layer = box.layerBegin; layer < box.layerEnd; ++layer) {
    for (Plane plane : {Plane::kK, Plane::kV}) {
      for (uint32_t h = 0; h < kUnevenLayers[layer].kvHeads; ++h) {
        for (uint32_t t = box.tokenBegin; t < box.tokenEnd; ++t) visit(layer, plane, h, t);
      }
    }
  }
}

KvRange anyRange(uint32_t tokens, std::mt19937& random) {
  KvRange range;
  range.layerBegin = random() % 3;
  range.layerEnd = range.layerBegin + 1 + random() % (3 - range.layerBegin);
  range.tokenBegin = random() % tokens;
  range.tokenEnd = range.tokenBegin + 1 + random() % (tokens - range.tokenBegin);
  return range;
}

// Decoded alone, a range has the bits of the whole, and nothing else is touched.
void checkRange(const LossySample& sample, ByteSpan stream, const KvRange& range, GoldenKv& whole,
                ElementType type) {
  const StreamHeader header = parseHeader(stream).value();
  GoldenKv part = sample.like(type);
  part.fillBits(3);
  GoldenKv before = part;
  KvTarget target = part.target();
  // A range's memory begins at its own first layer and token.
  target.base = target.at(range.layerBegin, Plane::kK, 0, range.tokenBegin);
  ASSERT_TRUE(decodeStream(stream, header, range, target, sample.profile.get()).ok());
  const auto row = [&](GoldenKv& kv, uint32_t layer, Plane plane, uint32_t h, uint32_t t) {
    const std::byte* at = kv.target().at(layer, plane, h, t);
    return Bytes(at, at + kUnevenLayers[layer].headDim * elementSize(type));
  };
  KvRange all{0, 3, 0, header.tokens()};
  forEachRow(all, [&](uint32_t layer, Plane plane, uint32_t h, uint32_t t) {
    const bool inside = layer >= std::max(range.layerBegin, header.derivedLayers) &&
                        layer < range.layerEnd && t >= range.tokenBegin && t < range.tokenEnd;
    EXPECT_EQ(row(part, layer, plane, h, t), row(inside ? whole : before, layer, plane, h, t))
        << layer << ' ' << t;
  });
}

TEST(LossyStream, AnyRangeHasTheBitsOfTheWhole) {
  std::mt19937 random(1);
  uint32_t seed = 0;
  std::vector<ProfileRecipe> recipes;
  for (BlockCut cut : kAllCuts) {
    for (bool derived : {false, true}) {
      recipes.push_back(unevenRecipe(cut, ++seed));
      recipes.back().derived = derived;
    }
  }
  for (const ProfileRecipe& recipe : recipes) {
    const uint32_t tokens = 41;
    LossySample sample(recipe, madeUpIdentity(tokens), ElementType::kF32);
    const Bytes stream = sample.encoded(sample.options(2, 1 + random() % 20));
    for (ElementType type : {ElementType::kF32, ElementType::kF16, ElementType::kBf16}) {
      GoldenKv whole = sample.decoded(stream, UINT8_MAX, type);
      for (int round = 0; round < 25; ++round) {
        checkRange(sample, stream, anyRange(tokens, random), whole, type);
        if (HasFailure()) {
          FAIL() << "cut " << static_cast<int>(recipe.cut) << ", derived " << recipe.derived;
        }
      }
    }
  }
}

ProfileRecipe derivedRecipe(BlockCut cut) {
  ProfileRecipe recipe = unevenRecipe(cut);
  recipe.derived = true;
  return recipe;
}

TEST(LossyStream, TheFirstLayerIsLeftToTheReaderWhereTheProfileSaysSo) {
  for (BlockCut cut : kAllCuts) {
    LossySample sample(derivedRecipe(cut), madeUpIdentity(9), ElementType::kF32);
    const Bytes before = sample.encoded(sample.options());
    // Whatever stands there.
    float* first = reinterpret_cast<float*>(sample.kv.target().at(0, Plane::kV, 1, 3));
    *first = std::numeric_limits<float>::quiet_NaN();
    const Bytes stream = sample.encoded(sample.options());
    EXPECT_EQ(stream, before);
    const StreamHeader header = verifyStream(stream).value();
    EXPECT_EQ(header.derivedLayers, 1u);
    EXPECT_EQ(header.layers, kUnevenLayers);
    for (const auto& group : header.planeGroups) {
      for (const PlaneRef& ref : group) EXPECT_NE(ref.layer, 0u);
    }
    EXPECT_TRUE(coveringFrames(header, {0, 1}).empty());
    EXPECT_EQ(coveringFrames(header, {}).size(), header.frames.size());
    EXPECT_TRUE(decodeStream(stream, header, {0, 1}, {}, sample.profile.get()).ok());
  }
}

TEST(LossyStream, AnImageHasNoTokensToDeriveTheFirstLayerFrom) {
  LossySample sample(derivedRecipe(BlockCut::kPlane), madeUpIdentity(9), ElementType::kF32);
  const auto stream =
      encodeStream(madeUpImage(9), kUnevenLayers, sample.kv.view(), sample.options());
  EXPECT_EQ(stream.status().code(), ErrorCode::kInvalidArgument);
  EXPECT_NE(stream.status().message().find("first layer"), std::string::npos);
}

TEST(LossyStream, TokenGroupsDoNotMatter) {
  const uint32_t tokens = 21;
  LossySample sample(unevenRecipe(BlockCut::kPlane), madeUpIdentity(tokens), ElementType::kF32);
  GoldenKv whole = sample.decoded(sample.encoded(sample.options()));
  for (uint32_t group : {1u, 2u, 3u, 4u, 5u, 7u, 20u, 21u, 22u, 65536u}) {
    const Bytes stream = sample.encoded(sample.options(2, group));
    EXPECT_EQ(sample.decoded(stream).dense(), whole.dense()) << group;
  }
}

TEST(LossyStream, OneTokenIsEnough) {
  for (BlockCut cut : kAllCuts) {
    LossySample sample(unevenRecipe(cut), madeUpIdentity(1), ElementType::kF16);
    const Bytes stream = sample.encoded(sample.options(3, 1));
    EXPECT_EQ(parseHeader(stream)->tokens(), 1u);
    sample.decoded(stream);
  }
}

// Level after level into the same memory: what all of them give at once, but for the type's
// rounding.
void checkProgressive(const LossySample& sample, uint8_t levels, ElementType type) {
  const Bytes stream = sample.encoded(sample.options(levels, 8));
  const StreamHeader header = verifyStream(stream).value();
  GoldenKv got = sample.like(type);
  for (uint32_t i = 0; i < header.frames.size(); ++i) {
    const FrameEntry& f = header.frames[i];
    const FrameBytes frame{i, ByteSpan(stream).subspan(f.offset, f.size)};
    const Status status = decodeFrame(header, frame, {}, got.target(), sample.profile.get());
    ASSERT_TRUE(status.ok()) << status.toString();
  }
  GoldenKv whole = sample.decoded(stream, UINT8_MAX, type);
  const double unit = type == ElementType::kF32   ? 1e-6
                      : type == ElementType::kF16 ? 1.0 / 2048
                                                  : 1.0 / 256;
  const Bytes a = got.dense();
  const Bytes b = whole.dense();
  std::vector<float> one(a.size() / elementSize(type)), other(one.size());
  widenRow(a.data(), type, one.size(), one.data());
  widenRow(b.data(), type, one.size(), other.data());
  for (size_t i = 0; i < one.size(); ++i) {
    // Of each level, of values that may be larger on the way than in the end.
    ASSERT_NEAR(one[i], other[i], unit * levels * (std::abs(other[i]) + 3)) << i;
  }
}

TEST(LossyStream, LevelAfterLevelGivesWhatAllAtOnceDo) {
  uint32_t seed = 0;
  for (BlockCut cut : kAllCuts) {
    LossySample sample(unevenRecipe(cut, ++seed), madeUpIdentity(19), ElementType::kF32);
    for (uint8_t levels = 1; levels <= kMaxLossyLevels; ++levels) {
      for (ElementType type : {ElementType::kF32, ElementType::kF16, ElementType::kBf16}) {
        SCOPED_TRACE(std::to_string(levels) + " levels of " + std::string(elementTypeName(type)));
        checkProgressive(sample, levels, type);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST(LossyStream, MoreLevelsErrLess) {
  LossySample sample(unevenRecipe(BlockCut::kPlane), madeUpIdentity(64), ElementType::kF32);
  const Bytes stream = sample.encoded(sample.options(3));
  const PlainTransform plain(sample.profile->data(), 2, sample.identity.tokens);
  double before = 1e30;
  for (uint8_t level = 0; level < 3; ++level) {
    GoldenKv got = sample.decoded(stream, level);
    double error = 0;
    for (uint32_t c = 0; c < plain.blocks().back().end; ++c) {
      for (uint32_t t = 0; t < 64; ++t) {
        error += std::pow(plain.read(got.view(), c, t) - plain.read(sample.kv.view(), c, t), 2);
      }
    }
    EXPECT_LT(error, before / 2);
    before = error;
  }
}

TEST(LossyStream, EncodingIsDeterministic) {
  for (BlockCut cut : kAllCuts) {
    LossySample sample(unevenRecipe(cut, 4), madeUpIdentity(30), ElementType::kBf16);
    const Bytes stream = sample.encoded(sample.options(3, 11));
    EXPECT_EQ(sample.encoded(sample.options(3, 11)), stream);
    LossySample again(unevenRecipe(cut, 4), madeUpIdentity(30), ElementType::kBf16);
    EXPECT_EQ(again.encoded(again.options(3, 11)), stream);
  }
}

TEST(LossyStream, HeaderNamesProfileAndLevels) {
  LossySample sample(unevenRecipe(BlockCut::kLayer), madeUpIdentity(20), ElementType::kF16);
  for (Preset preset : {Preset::kBalanced, Preset::kSmall}) {
    EncodeOptions options = sample.options(3, 6);
    options.preset = preset;
    const StreamHeader header = verifyStream(sample.encoded(options)).value();
    EXPECT_EQ(header.profile, sample.profile->id());
    EXPECT_EQ(header.preset, preset);
    EXPECT_EQ(header.levels, 3);
    EXPECT_EQ(header.elementType, ElementType::kF16);
    EXPECT_EQ(header.planeGroups.size(), 3u);
    EXPECT_EQ(header.frames.size(), 3u * 3 * 4);
  }
}

TEST(LossyStream, SmallIsSmaller) {
  ProfileData data = madeUpProfileData(unevenRecipe(BlockCut::kPlane, 3));
  data.transforms[1].blocks = data.transforms[0].blocks;
  LossySample sample(unevenRecipe(BlockCut::kPlane, 3), madeUpIdentity(100), ElementType::kF16);
  sample.profile = Profile::parse(writeProfile(data)).value();
  EncodeOptions options = sample.options();
  const size_t balanced = sample.encoded(options).size();
  options.preset = Preset::kSmall;
  EXPECT_LT(sample.encoded(options).size(), balanced);
}

}  // namespace
}  // namespace spolia::codec
