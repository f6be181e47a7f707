#include "engine/retrieval/content_cutter.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

#include "engine/linker/chunker.h"

namespace spolia::engine {
namespace {

using Rng = std::mt19937;

size_t below(Rng& rng, size_t n) {
  return rng() % n;
}

// Sentences of words, some of them with characters of two to four bytes, and some lines.
std::string prose(Rng& rng, size_t bytes) {
  static const std::vector<std::string> kLetters = {"a", "e", "n", "s", "t", "é", "語", "🪨"};
  std::string out;
  while (out.size() < bytes) {
    for (size_t words = 4 + below(rng, 20); words > 0; --words) {
      for (size_t letters = 1 + below(rng, 8); letters > 0; --letters) {
        out += kLetters[below(rng, kLetters.size())];
      }
      if (words > 1) out += ' ';
    }
    out += below(rng, 6) == 0 ? ".\n\n" : ". ";
  }
  return out;
}

std::string joined(const std::vector<std::string_view>& pieces) {
  std::string out;
  for (const std::string_view piece : pieces) out += piece;
  return out;
}

void expectWithinBounds(const std::string& text) {
  const std::vector<std::string_view> pieces = contentPieces(text);
  ASSERT_EQ(joined(pieces), text);
  for (size_t i = 0; i < pieces.size(); ++i) {
    ASSERT_TRUE(isUtf8(pieces[i])) << i;
    if (i + 1 < pieces.size()) {
      ASSERT_GE(pieces[i].size(), kLeastPieceBytes);
      ASSERT_LE(pieces[i].size(), kMostPieceBytes);
    } else if (i > 0) {
      ASSERT_GE(pieces[i].size(), kTailBytes);
    }
  }
  if (!pieces.empty()) {
    ASSERT_LT(pieces.back().size(), kMostPieceBytes + kTailBytes);
  }
}

TEST(ContentCutterTest, PiecesAreTheTextWithinBounds) {
  Rng rng(1);
  for (const size_t bytes : {0u, 1u, 255u, 512u, 767u, 768u, 1024u, 4096u, 60'000u, 300'000u}) {
    expectWithinBounds(bytes == 0 ? "" : prose(rng, bytes));
  }
}

TEST(ContentCutterTest, PiecesEndWithSentencesAndAreAboutAKibibyte) {
  Rng rng(2);
  const std::string text = prose(rng, 400'000);
  const std::vector<std::string_view> pieces = contentPieces(text);
  for (size_t i = 0; i + 1 < pieces.size(); ++i) {
    EXPECT_TRUE(pieces[i].ends_with(". ") || pieces[i].ends_with(".\n\n")) << i;
  }
  EXPECT_GT(text.size() / pieces.size(), 800u);
  EXPECT_LT(text.size() / pieces.size(), 1600u);
}

TEST(ContentCutterTest, TextsWithoutSentencesAreBounded) {
  for (const std::string letter : {"x", "é", "語", "🪨", " ", "\n", "."}) {
    std::string text;
    while (text.size() < 50'000) text += letter;
    expectWithinBounds(text);
  }
  Rng rng(3);
  std::string text;
  for (int i = 0; i < 50'000; ++i) text += static_cast<char>('a' + below(rng, 26));
  expectWithinBounds(text);
  // Bytes that are no characters are bounded as well.
  const std::string broken(50'000, '\x80');
  EXPECT_EQ(joined(contentPieces(broken)), broken);
  for (const std::string_view piece : contentPieces(broken)) {
    EXPECT_LT(piece.size(), kMostPieceBytes + kTailBytes);
  }
}

TEST(ContentCutterTest, AnInsertionChangesThePiecesAroundItOnly) {
  Rng rng(4);
  const std::string text = prose(rng, 100'000);
  const std::vector<std::string_view> pieces = contentPieces(text);
  const std::set<std::string_view> before(pieces.begin(), pieces.end());
  size_t changed = 0;
  constexpr size_t kTrials = 200;
  for (size_t trial = 0; trial < kTrials; ++trial) {
    const size_t at = trial == 0 ? 0 : below(rng, text.size());
    const std::string other =
        text.substr(0, at) + prose(rng, 1 + below(rng, 3000)) + text.substr(at);
    const std::vector<std::string_view> now = contentPieces(other);
    const std::set<std::string_view> after(now.begin(), now.end());
    size_t lost = 0;
    for (const std::string_view piece : before) lost += !after.contains(piece);
    EXPECT_LE(lost, 12u) << "of " << before.size() << ", inserted at " << at;
    changed += lost;
  }
  EXPECT_LE(changed, 4 * kTrials);
}

TEST(ContentCutterTest, AnotherQuestionBehindATextLeavesItsPieces) {
  Rng rng(5);
  const std::string text = prose(rng, 20'000);
  const std::string longer = text + "And what about the mill?";
  const auto one = contentPieces(text), two = contentPieces(longer);
  ASSERT_GE(two.size(), one.size());
  for (size_t i = 0; i + 1 < one.size(); ++i) EXPECT_EQ(one[i], two[i]);
}

// What is stored is found by where pieces end: other ends would lose all of it.
TEST(ContentCutterTest, TheCutIsTheSameForEver) {
  std::string text;
  for (int i = 0; i < 400; ++i) text += "Sentence number " + std::to_string(i * i) + " stands. ";
  std::vector<size_t> sizes;
  for (const std::string_view piece : contentPieces(text)) sizes.push_back(piece.size());
  EXPECT_EQ(sizes, (std::vector<size_t>{1085, 870, 667, 532, 660, 570, 1050, 1170, 780, 930, 900,
                                        2010, 713}));
}

// Parts as text, documents in brackets.
std::string shown(std::string_view text, const DocumentCut& cut) {
  std::string out, bytes;
  for (const TextPart& part : documentsIn(text, cut)) {
    EXPECT_FALSE(part.text.empty());
    bytes += part.text;
    out.append(part.document ? "[" : "").append(part.text).append(part.document ? "]" : "");
  }
  EXPECT_EQ(bytes, text);
  return out;
}

TEST(DocumentsInTest, SeparatorsStandBetweenDocumentsAndTheQuestion) {
  const DocumentCut cut{"\n--\n", 0};
  EXPECT_EQ(shown("One.\n--\nTwo.\n--\nWhich?", cut), "[One.]\n--\n[Two.]\n--\nWhich?");
  EXPECT_EQ(shown(" One. \n--\n\n--\nWhich? ", cut), " [One.] \n--\n\n--\nWhich? ");
  EXPECT_EQ(shown("One.\n--\n", cut), "[One.]\n--\n");
  EXPECT_EQ(shown("\n--\nWhich?", cut), "\n--\nWhich?");
  EXPECT_EQ(shown("Which?", cut), "Which?");
  EXPECT_EQ(shown("", cut), "");
  EXPECT_EQ(shown("One.\n--\nWhich?", {"", 0}), "One.\n--\nWhich?");
}

TEST(DocumentsInTest, LongTextsAreCutByContentWithoutTheirTail) {
  Rng rng(6);
  const std::string text = "\n " + prose(rng, 10'000);
  const std::vector<TextPart> parts = documentsIn(text, {});
  ASSERT_GT(parts.size(), 3u);
  EXPECT_EQ(parts.front().text, "\n ");
  EXPECT_FALSE(parts.front().document);
  EXPECT_FALSE(parts.back().document);
  EXPECT_GE(parts.back().text.size(), kTailBytes);
  EXPECT_EQ(documentsIn(text, {"", 0}).size(), 1u) << "off";
  EXPECT_EQ(documentsIn(text, {"", text.size()}).size(), 1u) << "not over";
  // A separator says more than bytes do.
  EXPECT_EQ(documentsIn(text + "##" + "Which?", {"##", 2048}).size(), 3u);
}

}  // namespace
}  // namespace spolia::engine
