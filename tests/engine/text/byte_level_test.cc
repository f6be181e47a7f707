#include "engine/text/byte_level.h"

#include <gtest/gtest.h>

#include <set>

namespace spolia::engine {
namespace {

TEST(ByteLevel, SymbolsAreDistinctAndReadBack) {
  std::set<uint32_t> seen;
  std::string spelled, bytes;
  for (int byte = 0; byte < 256; ++byte) {
    seen.insert(byteSymbol(static_cast<uint8_t>(byte)));
    appendUtf8(spelled, byteSymbol(static_cast<uint8_t>(byte)));
    bytes.push_back(static_cast<char>(byte));
  }
  EXPECT_EQ(seen.size(), 256u);
  EXPECT_EQ(bytesIfSymbols(spelled), bytes);
  EXPECT_EQ(byteSymbol('A'), uint32_t{'A'});
  EXPECT_EQ(byteSymbol(' '), 0x120u);
  EXPECT_EQ(byteSymbol('\n'), 0x10Au);
  EXPECT_EQ(byteSymbol(0xAD), 0x143u);
}

TEST(ByteLevel, TokensThatSpellNoBytesStandForThemselves) {
  EXPECT_EQ(bytesIfSymbols("a b"), std::nullopt);
  EXPECT_EQ(bytesOfSymbols("a b"), "a b");
  EXPECT_EQ(bytesOfSymbols("\u0120b"), " b");
  EXPECT_EQ(bytesIfSymbols("\xff"), std::nullopt);
  EXPECT_EQ(bytesIfSymbols("\u4f60"), std::nullopt);
}

TEST(ByteLevel, Utf8ReadsWhatItWrites) {
  for (const uint32_t c :
       {0x0u, 0x7Fu, 0x80u, 0x7FFu, 0x800u, 0xD7FFu, 0xE000u, 0xFFFFu, 0x10000u, 0x10FFFFu}) {
    std::string text;
    appendUtf8(text, c);
    uint32_t found = 1;
    EXPECT_EQ(utf8Length(text, &found), text.size());
    EXPECT_EQ(found, c);
    for (size_t cut = 1; cut < text.size(); ++cut) EXPECT_EQ(utf8Length(text.substr(0, cut)), 0u);
  }
}

// The table of the Unicode standard, chapter 3.9, on replacing maximal ill-formed parts.
TEST(ByteLevel, IllFormedPartsAreReplacedAsUnicodeRecommends) {
  const std::string r = "\uFFFD";
  const std::pair<std::string, std::string> cases[] = {
      {"a\xF0\x90\x80z", "a" + r + "z"},
      {"\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41", r + r + r + r + r + r + r + r + "A"},
      {"\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41", r + r + r + r + r + r + r + r + "A"},
      {"\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42", r + r + r + r + r + "A" + r + r + "B"},
      {"\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", r + r + r + r + "A"},
      {"\xC3", r},
      {"", ""},
      {"\u00e9\u4f60\U0001F642", "\u00e9\u4f60\U0001F642"}};
  for (const auto& [text, expected] : cases) {
    EXPECT_EQ(replaceInvalidUtf8(text), expected);
    EXPECT_EQ(isValidUtf8(text), text == expected);
  }
}

}  // namespace
}  // namespace spolia::engine
