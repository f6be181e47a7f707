#include "server/store/store_check.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>

#include "server/store/io/pread_ring.h"
#include "server/store/segments/last_words.h"
#include "server/store/segments/segment_format.h"
#include "tests/support/filled_store.h"
#include "tests/support/planted_flips.h"

namespace spolia::store {
namespace {

class StoreCheck : public ::testing::Test {
 protected:
  void SetUp() override {
    filled_.open();
    for (uint64_t key = 0; key < 40; ++key) filled_.put(key, 1000 + key * 3000);
    for (uint64_t key = 0; key < 40; key += 4) filled_.put(key, 2000);
    for (uint64_t key = 1; key < 40; key += 4) EXPECT_TRUE(filled_.remove(key).status.ok());
    filled_.close();
  }
  CheckReport check() {
    problems_.clear();
    const auto report = checkStore(filled_.config().directory,
                                   [this](const std::string& line) { problems_.push_back(line); });
    EXPECT_TRUE(report.ok()) << report.status().toString();
    if (!report.ok()) return {};
    EXPECT_EQ(report->problems, problems_.size());
    return *report;
  }
  // Name and contents of every file but the lock.
  std::map<std::string, std::string> files() {
    std::map<std::string, std::string> out;
    for (const auto& file :
         std::filesystem::recursive_directory_iterator(filled_.config().directory)) {
      if (!file.is_regular_file() || file.path().filename() == "LOCK") continue;
      std::ostringstream text;
      text << std::ifstream(file.path(), std::ios::binary).rdbuf();
      out[file.path()] = text.str();
    }
    return out;
  }

  test::FilledStore filled_;
  std::vector<std::string> problems_;
};

TEST_F(StoreCheck, ASoundStoreHasNoProblemsAndIsNotChanged) {
  const auto before = files();
  const CheckReport report = check();
  EXPECT_EQ(report.entries, 30u);
  EXPECT_EQ(report.intact, 30u);
  EXPECT_EQ(report.unnamed, 0u);
  EXPECT_TRUE(problems_.empty()) << problems_[0];
  EXPECT_TRUE(files() == before);
}

TEST_F(StoreCheck, EveryFlipIsFound) {
  ASSERT_EQ(test::flipABitInEveryRecord(filled_.segments(), 5), 50u);
  const CheckReport report = check();
  EXPECT_EQ(report.entries, 30u);
  EXPECT_EQ(report.intact, 0u);
  EXPECT_GE(report.problems, 30u);
}

TEST_F(StoreCheck, ALostSegmentIsEntriesWithoutRecord) {
  std::filesystem::remove(filled_.segments() / "000001.seg");
  const CheckReport report = check();
  EXPECT_LT(report.intact, report.entries);
  ASSERT_FALSE(problems_.empty());
  EXPECT_NE(problems_[0].find("no record in 000001.seg"), std::string::npos) << problems_[0];
}

TEST_F(StoreCheck, RebuiltIndexHasTheSameEntries) {
  const auto rebuilt = rebuildIndex(filled_.config().directory);
  ASSERT_TRUE(rebuilt.ok()) << rebuilt.status().toString();
  EXPECT_EQ(rebuilt->entries, 30u);
  const CheckReport report = check();
  EXPECT_EQ(report.intact, 30u);
  filled_.open();
  EXPECT_EQ(filled_.get(1).status.code(), ErrorCode::kNotFound);
  const StoreCompletion got = filled_.get(2);
  ASSERT_TRUE(got.status.ok());
  const Bytes expected = test::storePayload(2, 7000);
  EXPECT_TRUE(std::equal(got.range().begin(), got.range().end(), expected.begin(), expected.end()));
}

// As a store without room in its segments removes.
TEST_F(StoreCheck, WhatIsRemovedBesideTheSegmentsStaysRemoved) {
  {
    const auto ring = makePreadRing(filled_.segments(), 4);
    ASSERT_TRUE(ring.ok());
    LastWords words;
    const uint64_t later = uint64_t{1} << kSequenceBits | 1000;
    for (const uint64_t key : {2, 3}) {
      ASSERT_TRUE(words.write(**ring, {{test::storeKey(key), later + key}}, 0, 100).ok());
    }
  }
  ASSERT_TRUE(std::filesystem::exists(filled_.segments() / wordsFileName(2))) << "both count";
  EXPECT_EQ(rebuildIndex(filled_.config().directory)->entries, 28u);
  CheckReport report = check();
  EXPECT_TRUE(problems_.empty()) << problems_[0];
  EXPECT_EQ(report.unnamed, 0u);
  filled_.open();
  EXPECT_EQ(filled_.get(2).status.code(), ErrorCode::kNotFound);
  filled_.put(2, 5000);
  filled_.close();
  EXPECT_EQ(rebuildIndex(filled_.config().directory)->entries, 29u);
  filled_.open();
  EXPECT_TRUE(filled_.get(2).status.ok());
  EXPECT_EQ(filled_.get(3).status.code(), ErrorCode::kNotFound);
}

TEST_F(StoreCheck, ALostIndexIsToldAndCanBeRebuilt) {
  std::filesystem::remove_all(filled_.config().directory / "index");
  const auto told = checkStore(filled_.config().directory, [](const std::string&) {});
  EXPECT_EQ(told.status().code(), ErrorCode::kCorrupt);
  EXPECT_EQ(rebuildIndex(filled_.config().directory)->entries, 30u);
}

TEST_F(StoreCheck, AnOpenStoreAndNoStoreAreTold) {
  filled_.open();
  const auto nothing = [](const std::string&) {};
  EXPECT_EQ(checkStore(filled_.config().directory, nothing).status().code(),
            ErrorCode::kUnavailable);
  EXPECT_EQ(rebuildIndex(filled_.config().directory).status().code(), ErrorCode::kUnavailable);
  const auto elsewhere = filled_.config().directory / "segments";
  EXPECT_EQ(checkStore(elsewhere, nothing).status().code(), ErrorCode::kNotFound);
  EXPECT_FALSE(std::filesystem::exists(elsewhere / "LOCK"));
}

}  // namespace
}  // namespace spolia::store
