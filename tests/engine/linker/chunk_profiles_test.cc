#include "engine/linker/chunk_profiles.h"

#include <gtest/gtest.h>

#include "codec/profile_entry.h"
#include "engine/linker/memory_kv_source.h"
#include "tests/codec/lossy/made_up_profile.h"

namespace spolia::engine {
namespace {

Bytes profileBytes(uint64_t number) {
  codec::ProfileRecipe recipe;
  recipe.step = 1.0f / static_cast<float>(1 + number);
  return codec::writeProfile(codec::madeUpProfileData(recipe));
}
std::shared_ptr<const codec::Profile> profileOf(uint64_t number) {
  return codec::Profile::parse(profileBytes(number)).value();
}

codec::ChunkCompletion get(KvSource& source, const ChunkId& id) {
  codec::ChunkQueue queue;
  source.submitGetValue(id, 7, queue);
  return queue.waitPop();
}

TEST(ChunkProfilesTest, ItsOwnAndWhatWasAddedAreAtHand) {
  const auto own = profileOf(1);
  const auto other = profileOf(2);
  ChunkProfiles profiles(own);
  EXPECT_EQ(profiles.find(own->id()), own);
  EXPECT_EQ(profiles.find(other->id()), nullptr);
  ASSERT_TRUE(profiles.add(other->id(), profileBytes(2)).ok());
  ASSERT_NE(profiles.find(other->id()), nullptr);
  EXPECT_EQ(profiles.find(other->id())->id(), other->id());
}

TEST(ChunkProfilesTest, TakesNothingThatIsNotTheProfileOfTheId) {
  ChunkProfiles profiles(nullptr);
  const auto wanted = profileOf(1);
  EXPECT_EQ(profiles.add(wanted->id(), profileBytes(2)).code(), ErrorCode::kCorrupt);
  Bytes damaged = profileBytes(1);
  damaged[damaged.size() / 2] ^= std::byte{1};
  EXPECT_EQ(profiles.add(wanted->id(), damaged).code(), ErrorCode::kCorrupt);
  EXPECT_EQ(profiles.add(wanted->id(), {}).code(), ErrorCode::kCorrupt);
  EXPECT_EQ(profiles.find(wanted->id()), nullptr);
  EXPECT_EQ(profiles.find(profileOf(2)->id()), nullptr);
}

TEST(ChunkProfilesTest, KeepsABoundedNumberAndAlwaysItsOwn) {
  const auto own = profileOf(0);
  ChunkProfiles profiles(own);
  for (uint64_t i = 1; i <= ChunkProfiles::kMostFetched + 1; ++i) {
    ASSERT_TRUE(profiles.add(profileOf(i)->id(), profileBytes(i)).ok());
    ASSERT_TRUE(profiles.add(profileOf(i)->id(), profileBytes(i)).ok());  // counts once
  }
  EXPECT_EQ(profiles.find(profileOf(1)->id()), nullptr);
  for (uint64_t i = 2; i <= ChunkProfiles::kMostFetched + 1; ++i) {
    EXPECT_NE(profiles.find(profileOf(i)->id()), nullptr) << i;
  }
  EXPECT_EQ(profiles.find(own->id()), own);
}

TEST(ChunkProfilesTest, IsStoredUnderItsIdWhenThePresetNeedsIt) {
  MemoryKvSource source;
  const auto profile = profileOf(3);
  ASSERT_TRUE(storeProfileOf(codec::Preset::kBalanced, nullptr, source).ok());
  ASSERT_TRUE(storeProfileOf(codec::Preset::kHigh, profile.get(), source).ok());
  EXPECT_EQ(get(source, codec::profileEntryId(profile->id())).status.code(), ErrorCode::kNotFound);
  for (int twice = 0; twice < 2; ++twice) {
    ASSERT_TRUE(storeProfileOf(codec::Preset::kBalanced, profile.get(), source).ok());
    const codec::ChunkCompletion got = get(source, codec::profileEntryId(profile->id()));
    ASSERT_TRUE(got.status.ok());
    EXPECT_EQ(got.info.kind, codec::EntryKind::kProfile);
    const Bytes wanted = profileBytes(3);
    EXPECT_TRUE(std::ranges::equal(got.bytes.span(), wanted));
  }
}

}  // namespace
}  // namespace spolia::engine
