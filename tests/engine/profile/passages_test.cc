#include "engine/profile/passages.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <numeric>
#include <set>

#include "tests/support/tiny_model.h"

namespace spolia::engine {
namespace {

std::vector<codec::TokenId> numbers(codec::TokenId first, size_t count) {
  std::vector<codec::TokenId> out(count);
  std::iota(out.begin(), out.end(), first);
  return out;
}

TEST(PassagesTest, PagesAreCutFromTheirBeginning) {
  const std::vector<std::vector<codec::TokenId>> pages = {numbers(100, 17), numbers(200, 7),
                                                          numbers(300, 8)};
  const auto passages = cutPassages(pages, {.cached = 5, .continued = 3, .most = 10, .seed = 1});
  ASSERT_EQ(passages.size(), 3u);
  std::set<codec::TokenId> begins;
  for (const Passage& passage : passages) {
    const codec::TokenId begin = passage.cached[0];
    begins.insert(begin);
    EXPECT_EQ(passage.cached, numbers(begin, 5));
    EXPECT_EQ(passage.continued, numbers(begin + 5, 3));
  }
  EXPECT_EQ(begins, (std::set<codec::TokenId>{100, 108, 300}));
}

TEST(PassagesTest, SeedDecidesOrderAndChoice) {
  const std::vector<std::vector<codec::TokenId>> pages = {numbers(0, 400)};
  const auto begins = [&](uint64_t seed, size_t most) {
    std::vector<codec::TokenId> out;
    for (const Passage& passage : cutPassages(pages, {4, 0, most, seed})) {
      out.push_back(passage.cached[0]);
    }
    return out;
  };
  EXPECT_EQ(begins(1, 10), begins(1, 10));
  EXPECT_NE(begins(1, 10), begins(2, 10));
  EXPECT_EQ(begins(1, 10).size(), 10u);
  const std::vector<codec::TokenId> all = begins(1, 1000);
  EXPECT_EQ(std::set<codec::TokenId>(all.begin(), all.end()).size(), 100u);
  EXPECT_EQ(begins(1, 10), std::vector<codec::TokenId>(all.begin(), all.begin() + 10));
}

TEST(PassagesTest, FilesHavePagesBetweenFormFeeds) {
  const std::string path = testing::TempDir() + "passages_test.txt";
  std::ofstream(path) << "abcdef\fgh\fijklmn";
  const engine::Tokenizer tokenizer = engine::test::byteTokenizer();
  const auto passages = readPassages(path, tokenizer, {4, 2, 10, 1});
  ASSERT_TRUE(passages.ok());
  EXPECT_EQ(passages->size(), 2u);
  const Status tooLong = readPassages(path, tokenizer, {4, 3, 10, 1}).status();
  EXPECT_EQ(tooLong.code(), ErrorCode::kInvalidArgument);
  EXPECT_NE(tooLong.message().find(path), std::string::npos);
  std::remove(path.c_str());
  EXPECT_EQ(readPassages(path, tokenizer, {4, 2, 10, 1}).status().code(), ErrorCode::kNotFound);
}

}  // namespace
}  // namespace spolia::engine
