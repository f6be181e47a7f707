#include "engine/http/replies/answer_text.h"

#include <gtest/gtest.h>

namespace spolia::engine {
namespace {

struct Said {
  std::vector<std::string> pieces;
  std::string text;
  bool stopped = false;
};

Said say(const std::vector<std::string>& tokens, const std::vector<std::string>& stops = {}) {
  AnswerText answer(stops);
  Said out;
  for (const std::string& token : tokens) out.pieces.push_back(answer.feed(token));
  out.pieces.push_back(answer.finish());
  for (const std::string& piece : out.pieces) out.text += piece;
  out.stopped = answer.stopped();
  return out;
}

TEST(AnswerText, WhiteSpaceIsLeftOutOnlyAtTheBeginning) {
  EXPECT_EQ(say({" ", "\n a", " b"}).text, "a b");
}

TEST(AnswerText, CharactersComeWhole) {
  const Said said = say({"a\xE2", "\x82", "\xAC!"});
  EXPECT_EQ(said.pieces, (std::vector<std::string>{"a", "", "\xE2\x82\xAC!", ""}));
}

TEST(AnswerText, IllFormedBytesAreReplaced) {
  EXPECT_EQ(say({"a", "\xFF", "b"}).text,
            "a\xEF\xBF\xBD"
            "b");
  EXPECT_EQ(say({"a\xE2\x82"}).text.substr(0, 4), "a\xEF\xBF\xBD");
  EXPECT_EQ(replaceIllFormed("\xC0\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD");  // overlong
  EXPECT_EQ(replaceIllFormed("\xF4\x8F\xBF\xBF"), "\xF4\x8F\xBF\xBF");  // U+10FFFF
}

TEST(AnswerText, StopTextAcrossTokensEndsTheAnswer) {
  const Said said = say({"one ", "EN", "D two"}, {"END"});
  EXPECT_EQ(said.text, "one ");
  EXPECT_TRUE(said.stopped);
}

TEST(AnswerText, BeginningOfAStopTextIsHeldBackUntilItIsNone) {
  const Said said = say({"xE", "N", "x"}, {"END"});
  EXPECT_EQ(said.pieces, (std::vector<std::string>{"x", "", "ENx", ""}));
  EXPECT_FALSE(said.stopped);
  EXPECT_EQ(say({"xEN"}, {"END"}).text, "xEN");
}

TEST(AnswerText, FirstOfSeveralStopTextsCounts) {
  EXPECT_EQ(say({"abcd"}, {"d", "b"}).text, "a");
}

}  // namespace
}  // namespace spolia::engine
