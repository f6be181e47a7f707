#include "client/library/profile_cache.h"

#include <gtest/gtest.h>

#include <thread>

#include "tests/client/profiled_chunk.h"

namespace spolia::client {
namespace {

// Takes the questions; a test answers them.
class ProfileCacheTest : public testing::Test {
 protected:
  void ask(const Sha256Digest& id) {
    numbers_.push_back(
        cache_.find(id, [this](auto fetched) { got_.push_back(std::move(fetched)); }));
  }
  void answer(size_t question, Status status, ByteSpan bytes = {}) {
    codec::ChunkCompletion done;
    done.status = std::move(status);
    done.bytes = AlignedBuffer::copyOf(bytes);
    asked_[question].second(std::move(done));
  }
  // Asked for, answered and parsed; whether a question was needed.
  bool use(const codec::Profile& profile) {
    const size_t before = asked_.size();
    ask(profile.id());
    if (asked_.size() > before) answer(before, {}, codec::writeProfile(profile.data()));
    EXPECT_TRUE(got_.back()->parsed().ok());
    EXPECT_EQ((*got_.back()->parsed())->id(), profile.id());
    return asked_.size() > before;
  }

  std::vector<std::pair<ChunkId, QueuedClient::Done>> asked_;
  std::vector<std::shared_ptr<FetchedProfile>> got_;
  std::vector<uint64_t> numbers_;
  ProfileCache cache_{[this](const ChunkId& id, QueuedClient::Done done) {
    asked_.emplace_back(id, std::move(done));
  }};
  const std::shared_ptr<const codec::Profile> profile_ = codec::madeUpProfile({});
};

TEST_F(ProfileCacheTest, OneQuestionForAllWhoWait) {
  for (int i = 0; i < 3; ++i) ask(profile_->id());
  ASSERT_EQ(asked_.size(), 1u);
  EXPECT_EQ(asked_[0].first, test::entryIdOf(profile_->id()));
  EXPECT_TRUE(got_.empty());
  answer(0, {}, codec::writeProfile(profile_->data()));
  ASSERT_EQ(got_.size(), 3u);
  for (const auto& fetched : got_) EXPECT_EQ(fetched, got_[0]);
  ask(profile_->id());
  EXPECT_EQ(numbers_.back(), 0u);
  EXPECT_EQ(got_.back(), got_[0]);
  EXPECT_EQ(asked_.size(), 1u);
}

TEST_F(ProfileCacheTest, ParsedOnceByManyThreads) {
  ask(profile_->id());
  answer(0, {}, codec::writeProfile(profile_->data()));
  std::vector<const codec::Profile*> seen(8);
  std::vector<std::thread> threads;
  for (auto& one : seen) threads.emplace_back([&] { one = got_[0]->parsed()->get(); });
  for (std::thread& thread : threads) thread.join();
  for (const codec::Profile* one : seen) EXPECT_EQ(one, seen[0]);
}

TEST_F(ProfileCacheTest, TheLatestUsedStay) {
  std::vector<std::shared_ptr<const codec::Profile>> profiles;
  for (uint32_t seed = 0; seed <= ProfileCache::kMostKept; ++seed) {
    codec::ProfileRecipe recipe;
    recipe.seed = seed + 1;
    profiles.push_back(codec::madeUpProfile(recipe));
  }
  for (size_t i = 0; i < ProfileCache::kMostKept; ++i) EXPECT_TRUE(use(*profiles[i]));
  EXPECT_FALSE(use(*profiles[0]));
  EXPECT_TRUE(use(*profiles.back()));
  EXPECT_FALSE(use(*profiles[0]));
  EXPECT_TRUE(use(*profiles[1])) << "the one whose last use was longest ago";
}

TEST_F(ProfileCacheTest, FailuresNameTheProfileAndAreAskedAgain) {
  ask(profile_->id());
  answer(0, {ErrorCode::kNotFound, "no such entry"});
  const Status missing = got_[0]->parsed().status();
  EXPECT_EQ(missing.code(), ErrorCode::kNotFound);
  EXPECT_NE(missing.message().find(profile_->id().hex()), std::string::npos) << missing.message();
  Bytes damaged = codec::writeProfile(profile_->data());
  damaged.back() ^= std::byte{1};
  codec::ProfileRecipe recipe;
  recipe.seed = 9;
  const Bytes another = codec::writeProfile(codec::madeUpProfileData(recipe));
  for (const Bytes& bytes : {damaged, another}) {
    ask(profile_->id());
    answer(asked_.size() - 1, {}, bytes);
    const Status corrupt = got_.back()->parsed().status();
    EXPECT_EQ(corrupt.code(), ErrorCode::kCorrupt) << corrupt.toString();
    EXPECT_NE(corrupt.message().find(profile_->id().hex()), std::string::npos);
  }
  EXPECT_TRUE(use(*profile_));
  EXPECT_EQ(asked_.size(), 4u);
}

TEST_F(ProfileCacheTest, WhoGivesUpIsCalledAndTheAnswerIsForTheOthers) {
  ask(profile_->id());
  ask(profile_->id());
  cache_.giveUp(numbers_[0], {ErrorCode::kDeadlineExceeded, "late"});
  cache_.giveUp(numbers_[0], {ErrorCode::kDeadlineExceeded, "late"});
  ASSERT_EQ(got_.size(), 1u);
  EXPECT_EQ(got_[0]->parsed().status().code(), ErrorCode::kDeadlineExceeded);
  cache_.giveUp(numbers_[1], {ErrorCode::kDeadlineExceeded, "late"});
  ask(profile_->id());
  EXPECT_EQ(asked_.size(), 1u) << "the first answer is still to come";
  answer(0, {}, codec::writeProfile(profile_->data()));
  ASSERT_EQ(got_.size(), 3u);
  EXPECT_TRUE(got_[2]->parsed().ok());
  cache_.giveUp(numbers_[2], {ErrorCode::kDeadlineExceeded, "late"});
  EXPECT_EQ(got_.size(), 3u);
}

}  // namespace
}  // namespace spolia::client
