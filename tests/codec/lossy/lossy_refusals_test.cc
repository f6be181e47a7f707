// What encoding to `balanced` and `small` refuses, and what decoding does.
#include <gtest/gtest.h>

#include <limits>

#include "codec/lossy/lossy_frame.h"
#include "tests/codec/lossy/fitting_kv.h"

namespace spolia::codec {
namespace {

TEST(LossyRefusals, WithoutItsProfileNothingIsDecoded) {
  LossySample sample(unevenRecipe(BlockCut::kPlane), madeUpIdentity(9), ElementType::kF32);
  const Bytes stream = sample.encoded(sample.options());
  const StreamHeader header = verifyStream(stream).value();
  GoldenKv out = sample.like(ElementType::kF32);
  const auto other = madeUpProfile(unevenRecipe(BlockCut::kPlane, 5));
  const FrameBytes first{0,
                         ByteSpan(stream).subspan(header.frames[0].offset, header.frames[0].size)};
  for (const Profile* profile : {static_cast<const Profile*>(nullptr), other.get()}) {
    EXPECT_EQ(decodeStream(stream, header, {}, out.target(), profile).code(), ErrorCode::kNotFound);
    EXPECT_EQ(decodeFrame(header, first, {}, out.target(), profile).code(), ErrorCode::kNotFound);
  }
}

// A header may name any profile: its own shapes count.
TEST(LossyRefusals, ProfileOfOtherShapesIsCorrupt) {
  LossySample sample(unevenRecipe(BlockCut::kPlane), madeUpIdentity(9), ElementType::kF32);
  const Bytes stream = sample.encoded(sample.options());
  const StreamHeader right = verifyStream(stream).value();
  std::vector<Bytes> frames;
  for (const FrameEntry& f : right.frames) {
    frames.push_back(toBytes(ByteSpan(stream).subspan(f.offset, f.size)));
  }
  const auto codeOf = [&](const StreamHeader& changed, const std::vector<Bytes>& with) {
    const Bytes wrong = assembleStream(changed, with);
    const StreamHeader header = verifyStream(wrong).value();
    GoldenKv out(header.layers, header.tokens(), ElementType::kF32);
    return decodeStream(wrong, header, {}, out.target(), sample.profile.get()).code();
  };
  EXPECT_EQ(codeOf(right, frames), ErrorCode::kOk);
  StreamHeader changed = right;
  changed.layers = {{2, 8}, {1, 5}, {4, 3}};
  EXPECT_EQ(codeOf(changed, frames), ErrorCode::kCorrupt);
  changed = right;
  changed.profile = {};
  EXPECT_EQ(codeOf(changed, frames), ErrorCode::kUnsupported);
  changed = right;  // planes in another order, or with one left out
  std::swap(changed.planeGroups.front(), changed.planeGroups.back());
  EXPECT_NE(codeOf(changed, frames), ErrorCode::kUnsupported);
  changed = right;
  std::vector<PlaneRef> all;
  for (const auto& group : right.planeGroups) all.insert(all.end(), group.begin(), group.end());
  std::swap(all[0], all[5]);
  changed.planeGroups = {all};
  EXPECT_EQ(codeOf(changed, {frames.front(), frames.back()}), ErrorCode::kCorrupt);
  changed = right;
  changed.levels = 4;
  frames.resize(frames.size() * 2, frames.back());
  EXPECT_EQ(codeOf(changed, frames), ErrorCode::kUnsupported);
}

TEST(LossyRefusals, LevelsOfDifferentGainsDoNotMix) {
  LossySample sample(unevenRecipe(BlockCut::kAll), madeUpIdentity(9), ElementType::kF32);
  const Bytes stream = sample.encoded(sample.options());
  const StreamHeader header = verifyStream(stream).value();
  std::vector<Bytes> frames;
  for (const FrameEntry& f : header.frames) {
    frames.push_back(toBytes(ByteSpan(stream).subspan(f.offset, f.size)));
  }
  ASSERT_EQ(frames.size(), 2u);
  frames[1][1] ^= std::byte{1};  // behind the coding
  const Bytes wrong = assembleStream(header, frames);
  GoldenKv out = sample.like(ElementType::kF32);
  EXPECT_EQ(decodeStream(wrong, verifyStream(wrong).value(), {}, out.target(), sample.profile.get())
                .code(),
            ErrorCode::kCorrupt);
}

TEST(LossyRefusals, WhatIsNotFiniteIsRefusedWhereverItStands) {
  for (BlockCut cut : kAllCuts) {
    LossySample sample(unevenRecipe(cut, 2), madeUpIdentity(6), ElementType::kF32);
    for (float bad : {std::numeric_limits<float>::infinity(), std::nanf("")}) {
      for (const ChannelPlace& p : channelPlaces(kUnevenLayers)) {
        GoldenKv kv = sample.kv;
        std::memcpy(kv.target().at(p.layer, p.plane, p.head, 5) + p.at * 4, &bad, 4);
        EXPECT_EQ(encodeStream(sample.identity, kUnevenLayers, kv.view(), sample.options())
                      .status()
                      .code(),
                  ErrorCode::kInvalidArgument)
            << "layer " << p.layer << " head " << p.head << " channel " << p.at;
      }
    }
  }
}

TEST(LossyRefusals, RefusesBadRequests) {
  LossySample sample(unevenRecipe(BlockCut::kPlane), madeUpIdentity(6), ElementType::kF32);
  const auto codeOf = [&](const EncodeOptions& options) {
    return encodeStream(sample.identity, kUnevenLayers, sample.kv.view(), options).status().code();
  };
  EncodeOptions options = sample.options();
  options.profile = nullptr;
  EXPECT_EQ(codeOf(options), ErrorCode::kOk);  // by another coding
  EXPECT_EQ(codeOf(sample.options(0)), ErrorCode::kInvalidArgument);
  EXPECT_EQ(codeOf(sample.options(kMaxLossyLevels + 1)), ErrorCode::kInvalidArgument);
  options = sample.options();
  options.kForm = KForm::kRotated;
  EXPECT_EQ(codeOf(options), ErrorCode::kInvalidArgument);
  ProfileData data = madeUpProfileData(unevenRecipe(BlockCut::kPlane));
  data.transforms.erase(data.transforms.begin());  // `small` is left
  const auto onlySmall = Profile::parse(writeProfile(data)).value();
  options = sample.options();
  options.profile = onlySmall.get();
  EXPECT_EQ(codeOf(options), ErrorCode::kInvalidArgument);
  options.preset = Preset::kSmall;
  EXPECT_EQ(codeOf(options), ErrorCode::kOk);
  ChunkIdentity other = sample.identity;
  other.fingerprint.bytes[3] ^= std::byte{1};
  EXPECT_EQ(encodeStream(other, kUnevenLayers, sample.kv.view(), sample.options()).status().code(),
            ErrorCode::kInvalidArgument);
}

// Plane groups that cut a block cannot be coded.
TEST(LossyRefusals, PlaneGroupsDoNotCutBlocks) {
  ProfileData data = madeUpProfileData(unevenRecipe(BlockCut::kLayer));
  for (uint8_t each : {0, 1, 2, 3, 4, 255}) {
    data.transforms[0].planesPerGroup = each;
    const auto profile = Profile::parse(writeProfile(data)).value();
    LossySample sample(unevenRecipe(BlockCut::kLayer), madeUpIdentity(6), ElementType::kF32);
    sample.profile = profile;
    const auto stream =
        encodeStream(sample.identity, kUnevenLayers, sample.kv.view(), sample.options());
    EXPECT_EQ(stream.ok(), each % 2 == 0 || each == 255) << int{each};
    if (stream.ok()) sample.decoded(*stream);
  }
}

}  // namespace
}  // namespace spolia::codec
