#include "codec/lossy/profile.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "tests/codec/lossy/made_up_profile.h"
#include "tests/codec/lossy/profile_use.h"

namespace spolia::codec {
namespace {

const std::vector<LayerShape> kProfileLayers{{2, 5}, {1, 7}, {3, 4}};

ProfileRecipe recipeOf(BlockCut cut, uint32_t seed) {
  ProfileRecipe recipe;
  recipe.layers = kProfileLayers;
  recipe.cut = cut;
  recipe.codeRank = seed % 3 == 0 ? 0 : seed % 3 == 1 ? 7 : 48;
  recipe.mixed = true;
  recipe.history = static_cast<uint8_t>(seed % 4 % 3);
  recipe.narrowCodes = seed % 5 * 4;
  recipe.ownTables = seed % 2 == 0;
  recipe.seed = seed;
  return recipe;
}

TEST(Profile, WhatIsWrittenIsRead) {
  uint32_t seed = 0;
  for (BlockCut cut : kAllCuts) {
    for (int round = 0; round < 3; ++round) {
      const ProfileData data = madeUpProfileData(recipeOf(cut, ++seed));
      const Bytes bytes = writeProfile(data);
      const auto profile = Profile::parse(bytes);
      ASSERT_TRUE(profile.ok()) << profile.status().toString();
      EXPECT_TRUE((*profile)->data() == data) << seed;
      EXPECT_EQ(writeProfile((*profile)->data()), bytes);
      EXPECT_EQ((*profile)->id().bytes, sha256(bytes));
    }
  }
}

TEST(Profile, TransformsAreFoundByPreset) {
  const auto profile = madeUpProfile({});
  ASSERT_NE(profile->transform(2), nullptr);
  ASSERT_NE(profile->transform(3), nullptr);
  EXPECT_EQ(profile->transform(2)->data->preset, 2);
  EXPECT_EQ(profile->transform(3)->data->preset, 3);
  EXPECT_EQ(profile->transform(0), nullptr);
  EXPECT_EQ(profile->transform(1), nullptr);
  ProfileData data = madeUpProfileData({});
  data.transforms.clear();
  const auto none = Profile::parse(writeProfile(data));
  ASSERT_TRUE(none.ok());
  EXPECT_EQ((*none)->transform(2), nullptr);
}

TEST(Profile, CodesAreShiftedAndUnknownTokensHaveNone) {
  ProfileRecipe recipe;
  recipe.codeRank = 7;
  const auto profile = madeUpProfile(recipe);
  const ProfileData& data = profile->data();
  for (uint32_t token : {0u, 1u, kMadeUpVocabulary - 1, kMadeUpVocabulary, 1u << 31, UINT32_MAX}) {
    std::vector<int16_t> code(8, 99);
    profile->codeOf(token, 7, code.data());
    EXPECT_EQ(code.back(), 99);
    for (uint32_t i = 0; i < 7; ++i) {
      const bool known = token < kMadeUpVocabulary;
      const int32_t want =
          known ? data.codes[size_t{token} * 7 + i] * (1 << data.codeShifts[i]) : 0;
      EXPECT_EQ(code[i], want) << token;
    }
  }
}

TEST(Profile, EveryTruncationIsCorrupt) {
  ProfileRecipe recipe = recipeOf(BlockCut::kHead, 4);
  recipe.layers = {{2, 5}};
  const Bytes bytes = writeProfile(madeUpProfileData(recipe));
  for (size_t size = 0; size < bytes.size(); size += size < 600 ? 1 : 17) {
    Bytes cut(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(size));
    ASSERT_EQ(Profile::parse(cut).status().code(), ErrorCode::kCorrupt) << size;
    sealProfile(cut);  // so that what is missing is found by its reader
    ASSERT_EQ(Profile::parse(cut).status().code(), ErrorCode::kCorrupt) << size;
  }
  Bytes longer = bytes;
  longer.push_back(std::byte{0});
  sealProfile(longer);
  EXPECT_EQ(Profile::parse(longer).status().code(), ErrorCode::kCorrupt);
}

TEST(Profile, EveryFlippedBitIsNoticed) {
  ProfileRecipe recipe = recipeOf(BlockCut::kPlane, 1);
  recipe.layers = {{1, 5}};
  const Bytes bytes = writeProfile(madeUpProfileData(recipe));
  for (size_t i = 0; i < bytes.size(); ++i) {
    Bytes bad = bytes;
    bad[i] ^= static_cast<std::byte>(1u << i % 8);
    const ErrorCode code = Profile::parse(bad).status().code();
    ASSERT_TRUE(code == ErrorCode::kCorrupt || (code == ErrorCode::kUnsupported && i < 10)) << i;
  }
}

// Behind a checksum that holds any byte may be anything: an error, or a profile to use.
TEST(Profile, AnyChangedByteIsRefusedOrHarmless) {
  std::mt19937 random(5);
  for (BlockCut cut : {BlockCut::kHead, BlockCut::kAll}) {
    ProfileRecipe recipe = recipeOf(cut, 7);
    recipe.layers = {{2, 5}};
    const Bytes bytes = writeProfile(madeUpProfileData(recipe));
    uint32_t accepted = 0;
    // Every byte up to the symbol tables, which are long and alike.
    for (size_t i = 0; i < bytes.size(); i += i < 900 ? 2 : 97) {
      for (uint32_t value : {uint32_t{0x00}, uint32_t{0xff}, uint32_t{0x80}, uint32_t{0x35}}) {
        Bytes bad = bytes;
        bad[i] = static_cast<std::byte>(value);
        sealProfile(bad);
        const auto profile = Profile::parse(bad);
        if (!profile.ok()) continue;
        ++accepted;
        const bool harmless = i % 4 != value % 3 || useProfile(**profile, random);
        EXPECT_TRUE(harmless) << "byte " << i << " as " << value;
      }
    }
    EXPECT_GT(accepted, 400u);  // else the checksum was made wrongly
  }
}

struct Refusal {
  const char* name;
  std::function<void(ProfileData&)> change;
};

constexpr float kInfinity = std::numeric_limits<float>::infinity();
ProfileBlock& blockOf(ProfileData& data, size_t i = 0) {
  return data.transforms[0].blocks[i];
}

const Refusal kRefusals[] = {
    {"shift", [](ProfileData& d) { blockOf(d).shifts[1] = kMaxShift + 1; }},
    {"class", [](ProfileData& d) { blockOf(d).classes[0] = kStepClasses; }},
    {"more codes than there are", [](ProfileData& d) { d.transforms[0].ownCodes = 8; }},
    {"more codes before than there are", [](ProfileData& d) { d.transforms[0].codesBefore = 8; }},
    {"scale of zero", [](ProfileData& d) { blockOf(d).scale[2] = 0; }},
    {"scale of less than zero", [](ProfileData& d) { blockOf(d).scale[2] = -1; }},
    {"infinite scale", [](ProfileData& d) { blockOf(d).scale[2] = kInfinity; }},
    {"infinite mean", [](ProfileData& d) { blockOf(d).mean[0] = -kInfinity; }},
    {"infinite map scale", [](ProfileData& d) { blockOf(d).mapScale[4] = kInfinity; }},
    {"component scale NaN", [](ProfileData& d) { blockOf(d).componentScale = std::nanf(""); }},
    {"map scale beyond bounds", [](ProfileData& d) { blockOf(d).mapScale[0] = -0x1p31f; }},
    {"component scale beyond bounds", [](ProfileData& d) { blockOf(d).componentScale = 0x1p31f; }},
    {"tiny step", [](ProfileData& d) { d.transforms[0].step = 0x1p-61f; }},
    {"giant step", [](ProfileData& d) { d.transforms[0].step = 0x1p31f; }},
    {"step NaN", [](ProfileData& d) { d.transforms[0].step = std::nanf(""); }},
    {"no step", [](ProfileData& d) { d.transforms[0].step = 0; }},
    {"step below zero", [](ProfileData& d) { d.transforms[1].step = -1; }},
    {"infinite step", [](ProfileData& d) { d.transforms[0].step = kInfinity; }},
    {"preset high", [](ProfileData& d) { d.transforms[0].preset = 1; }},
    {"preset to come", [](ProfileData& d) { d.transforms[0].preset = 4; }},
    {"code shift", [](ProfileData& d) { d.codeShifts[0] = kMaxShift + 1; }},
    {"no blocks", [](ProfileData& d) { d.transforms[0].blocks.clear(); }},
    {"one block less", [](ProfileData& d) { d.transforms[0].blocks.pop_back(); }},
    {"one block more",
     [](ProfileData& d) { d.transforms[0].blocks.push_back(d.transforms[0].blocks.back()); }},
    {"five transforms", [](ProfileData& d) { d.transforms.resize(5, d.transforms[0]); }},
    {"layers without channels", [](ProfileData& d) { d.layers.clear(); }},
    {"other layers",
     [](ProfileData& d) {
       d.layers.push_back({1, 1});
     }},
    {"no escape",
     [](ProfileData& d) {
       FrequencyTable& table = d.transforms[0].tables.coarse[3];
       const uint32_t escape = coarsePack(3).escape();
       table.frequency[40] += table.frequency[escape];
       table.frequency[escape] = 0;
     }},
    {"symbol behind the escape",
     [](ProfileData& d) {
       FrequencyTable& table = d.transforms[0].tables.coarse[0];
       table.frequency[40] -= 1;
       table.frequency[coarsePack(0).escape() + 1] = 1;
     }},
    {"fine symbol missing",
     [](ProfileData& d) {
       FrequencyTable& table = d.transforms[0].tables.fine[20];
       table.frequency[40] += table.frequency[0];
       table.frequency[0] = 0;
     }},
    {"fine escape",
     [](ProfileData& d) {
       FrequencyTable& table = d.transforms[0].tables.fine[20];
       table.frequency[40] -= 1;
       table.frequency[kFinePack.escape()] = 1;
     }},
};

TEST(Profile, WhatDoesNotHoldIsRefused) {
  ProfileRecipe recipe;
  recipe.layers = {{2, 5}};
  recipe.cut = BlockCut::kHead;
  for (const Refusal& refusal : kRefusals) {
    ProfileData data = madeUpProfileData(recipe);
    refusal.change(data);
    const auto profile = Profile::parse(writeProfile(data));
    EXPECT_EQ(profile.status().code(), ErrorCode::kCorrupt) << refusal.name;
  }
  EXPECT_TRUE(Profile::parse(writeProfile(madeUpProfileData(recipe))).ok());
}

// Blocks of any bounds that are not those of heads.
TEST(Profile, BlocksEndWhereHeadsEnd) {
  ProfileRecipe recipe;
  recipe.layers = {{2, 5}};
  recipe.cut = BlockCut::kAll;
  recipe.components = 0;
  recipe.history = 0;
  for (uint32_t cut = 1; cut < 20; ++cut) {
    ProfileData data = madeUpProfileData(recipe);
    const ProfileBlock whole = blockOf(data);
    auto& blocks = data.transforms[0].blocks;
    blocks.push_back(whole);
    blocks[0].end = blocks[1].begin = cut;
    for (ProfileBlock& block : blocks) {
      block.mean.resize(block.channels());
      block.scale.resize(block.channels());
      block.mapScale.resize(block.channels());
    }
    EXPECT_EQ(Profile::parse(writeProfile(data)).ok(), cut % 5 == 0) << cut;
  }
}

// Half a byte a number: from -8 to 7, in the low half first.
TEST(Profile, NarrowCodesComeBack) {
  for (uint32_t narrow = 0; narrow <= 7; ++narrow) {
    ProfileRecipe recipe;
    recipe.narrowCodes = narrow;
    ProfileData data = madeUpProfileData(recipe);
    for (uint32_t i = 7 - narrow; i < 7; ++i) {
      for (int8_t v = -8; v <= 7; ++v) data.codes[size_t{7} * (v + 8) + i] = v;
    }
    const auto profile = Profile::parse(writeProfile(data));
    ASSERT_TRUE(profile.ok());
    EXPECT_EQ((*profile)->data().codes, data.codes) << narrow;
  }
}

TEST(Profile, WithoutNumbersNoTokenHasACode) {
  ProfileRecipe recipe;
  recipe.codeRank = 0;
  const Bytes bytes = writeProfile(madeUpProfileData(recipe));
  // Prefix, fingerprint, one run of layers, no numbers of a code, none of them wide.
  const size_t at = 24 + 32 + 4 + 2;
  ASSERT_EQ(bytes[at], std::byte{0});
  Bytes bad = bytes;
  bad[at] = std::byte{5};
  sealProfile(bad);
  EXPECT_EQ(Profile::parse(bad).status().code(), ErrorCode::kCorrupt);
}

TEST(Profile, MoreComponentsThanThereMayBe) {
  ProfileRecipe recipe;
  recipe.layers = {{1, 600}};
  recipe.cut = BlockCut::kPlane;
  ProfileData data = madeUpProfileData(recipe);
  ASSERT_EQ(blockOf(data).componentCount(), kMaxBlockComponents);
  EXPECT_TRUE(Profile::parse(writeProfile(data)).ok());
  ProfileBlock& block = blockOf(data);
  block.shifts.resize(kMaxBlockComponents + 4);
  block.classes.resize(kMaxBlockComponents / 4 + 1);
  block.components.resize(size_t{block.componentCount()} * block.channels());
  EXPECT_EQ(Profile::parse(writeProfile(data)).status().code(), ErrorCode::kCorrupt);
  data = madeUpProfileData(recipe);
  blockOf(data).shifts.resize(10);  // not whole packs
  blockOf(data).classes.resize(2);
  blockOf(data).components.resize(size_t{10} * 600);
  EXPECT_EQ(Profile::parse(writeProfile(data)).status().code(), ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace spolia::codec
