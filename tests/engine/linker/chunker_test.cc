#include "engine/linker/chunker.h"

#include <gtest/gtest.h>

#include <random>

namespace spolia::engine {
namespace {

// A token for every four bytes that do not begin with white space, and for each white space: counts
// depend on what stands before, as with real vocabularies.
Result<std::vector<codec::TokenId>> toyTokens(std::string_view text) {
  std::vector<codec::TokenId> out;
  size_t run = 0;
  for (char c : text) {
    const bool space = c == ' ' || c == '\n';
    if (space || run % 4 == 0) out.push_back(static_cast<unsigned char>(c));
    run = space ? 0 : run + 1;
  }
  return out;
}

std::string joined(const std::vector<TextChunk>& chunks) {
  std::string out;
  for (const TextChunk& chunk : chunks) out += chunk.text;
  return out;
}

std::vector<std::string> texts(const std::vector<TextChunk>& chunks) {
  std::vector<std::string> out;
  for (const TextChunk& chunk : chunks) out.push_back(chunk.text);
  return out;
}

TEST(Chunker, SentenceTakesItsSeparator) {
  EXPECT_EQ(sentenceLength("One two.  Three", 100), 10u);
  EXPECT_EQ(sentenceLength("Is it? Yes", 100), 7u);
  EXPECT_EQ(sentenceLength("Stop!\n\nNext", 100), 7u);
  EXPECT_EQ(sentenceLength("A heading\n\n  text", 100), 13u);
  EXPECT_EQ(sentenceLength("Pi is 3.14 or so", 100), 16u) << "a full stop inside a number";
  EXPECT_EQ(sentenceLength("The end.", 100), 8u);
  EXPECT_EQ(sentenceLength("\n\nText", 100), 2u);
  EXPECT_EQ(sentenceLength("", 100), 0u);
}

TEST(Chunker, SentenceStopsAtLimitBetweenCharacters) {
  const std::string text = "ab\xC3\xA9\xC3\xA9";
  EXPECT_EQ(sentenceLength(text, 3), 2u);
  EXPECT_EQ(sentenceLength(text, 4), 4u);
}

TEST(Chunker, PacksWholeSentences) {
  // Five tokens a sentence ("aaaa", "bbbb", "cc.", and two separators; the last has one more).
  std::string text;
  for (int i = 0; i < 7; ++i) text += "aaaa bbb. ";
  const auto chunks = chunkText(text, 16, toyTokens);
  ASSERT_TRUE(chunks.ok());
  const std::string four = "aaaa bbb. aaaa bbb. aaaa bbb. aaaa bbb. ";
  EXPECT_EQ(texts(*chunks), (std::vector<std::string>{four, text.substr(four.size())}));
}

TEST(Chunker, CutsLongSentenceAtTheLimit) {
  const auto chunks = chunkText(std::string(200, 'x') + ". End.", 16, toyTokens);
  ASSERT_TRUE(chunks.ok());
  ASSERT_EQ(chunks->size(), 4u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ((*chunks)[i].text, std::string(64, 'x'));
    EXPECT_EQ((*chunks)[i].tokens.size(), 16u);
  }
  EXPECT_EQ((*chunks)[3].text, std::string(8, 'x') + ". End.");
}

TEST(Chunker, LongSentenceStartsItsOwnChunk) {
  const std::string text = "Short one. " + std::string(100, 'x');
  const auto chunks = chunkText(text, 16, toyTokens);
  ASSERT_TRUE(chunks.ok());
  EXPECT_EQ(chunks->front().text, "Short one. ");
  EXPECT_EQ(joined(*chunks), text);
}

TEST(Chunker, RefusesImpossibleLimitsAndPassesFailuresOn) {
  EXPECT_EQ(chunkText("text", kMinChunkTokens - 1, toyTokens).status().code(),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(chunkText("text", codec::kMaxChunkTokens + 1, toyTokens).status().code(),
            ErrorCode::kInvalidArgument);
  const Tokenize failing = [](std::string_view) -> Result<std::vector<codec::TokenId>> {
    return Status(ErrorCode::kResourceExhausted, "pattern");
  };
  EXPECT_EQ(chunkText("text", 16, failing).status().code(), ErrorCode::kResourceExhausted);
  const auto nothing = chunkText("", 16, failing);
  ASSERT_TRUE(nothing.ok());
  EXPECT_TRUE(nothing->empty());
}

std::string randomText(std::mt19937& rng) {
  const std::vector<std::string> pieces = {"word",
                                           " ",
                                           " ",
                                           ". ",
                                           "! ",
                                           "?\n",
                                           "\n\n",
                                           "\t",
                                           "3.5",
                                           "é",
                                           "\u6c34",
                                           "\U0001F600",
                                           "a long run of words ",
                                           "\r\n",
                                           ".",
                                           "...  "};
  std::string out;
  const size_t count = rng() % 400;
  for (size_t i = 0; i < count; ++i) out += pieces[rng() % pieces.size()];
  if (rng() % 4 == 0) out += std::string(rng() % 3000, 'y');
  return out;
}

TEST(Chunker, AnyTextIsKeptAndNoChunkIsTooLong) {
  for (uint32_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 rng(seed);
    const std::string text = randomText(rng);
    const uint32_t maxTokens = kMinChunkTokens + rng() % 64;
    const auto chunks = chunkText(text, maxTokens, toyTokens);
    ASSERT_TRUE(chunks.ok());
    EXPECT_EQ(joined(*chunks), text);
    for (const TextChunk& chunk : *chunks) {
      EXPECT_FALSE(chunk.text.empty());
      EXPECT_LE(chunk.tokens.size(), maxTokens);
      EXPECT_EQ(chunk.tokens, *toyTokens(chunk.text));
      EXPECT_TRUE(isUtf8(chunk.text)) << "a character was cut";
    }
  }
}

TEST(Chunker, KnowsWellFormedUtf8) {
  EXPECT_TRUE(isUtf8(""));
  EXPECT_TRUE(isUtf8("plain, \xC3\xA9, \xE6\xB0\xB4, \xF0\x9F\x98\x80"));
  for (const char* bad : {"\x80", "\xC3", "\xC0\xAF", "\xE0\x80\x80", "\xED\xA0\x80",
                          "\xF4\x90\x80\x80", "\xFF", "\xE6\xB0 "}) {
    EXPECT_FALSE(isUtf8(bad));
  }
}

}  // namespace
}  // namespace spolia::engine
