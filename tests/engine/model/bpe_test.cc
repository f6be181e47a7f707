#include "engine/model/bpe.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

namespace spolia::engine {
namespace {

using codec::TokenId;
using nlohmann::json;
using Tokens = std::vector<std::string>;

// Merging as the reference says it: the best pair of the whole piece again and again, the first of
// equals.
Tokens mergedSlowly(Tokens symbols,
                    const std::vector<std::pair<std::string, std::string>>& merges) {
  while (true) {
    size_t best = merges.size(), at = 0;
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      for (size_t rank = 0; rank < best; ++rank) {
        if (merges[rank] == std::pair(symbols[i], symbols[i + 1])) {
          best = rank;
          at = i;
        }
      }
    }
    if (best == merges.size()) return symbols;
    symbols[at] += symbols[at + 1];
    symbols.erase(symbols.begin() + static_cast<ptrdiff_t>(at) + 1);
  }
}

// Merges of what there is so far, as training makes them, in any order of ranks.
std::vector<std::pair<std::string, std::string>> randomMerges(std::mt19937& random,
                                                              const Tokens& letters) {
  Tokens tokens = letters;
  std::vector<std::pair<std::string, std::string>> merges;
  for (unsigned i = 4 + random() % 24; i > 0; --i) {
    const std::pair merge(tokens[random() % tokens.size()], tokens[random() % tokens.size()]);
    if (std::find(merges.begin(), merges.end(), merge) != merges.end()) continue;
    merges.push_back(merge);
    tokens.push_back(merge.first + merge.second);
  }
  std::shuffle(merges.begin(), merges.end(), random);
  return merges;
}

// Pieces are cut where no merge can happen, and long ones are merged with a heap: neither may show.
TEST(Bpe, MergesAsTheSlowWayDoes) {
  const unsigned seed = 5;
  std::mt19937 random(seed);
  SCOPED_TRACE("seed " + std::to_string(seed));
  const Tokens letters = {"a", "b", "c", "d", "\u00e9", "\u4f60"};
  for (int round = 0; round < 150; ++round) {
    const auto merges = randomMerges(random, letters);
    json model = {{"type", "BPE"}, {"vocab", json::object()}, {"merges", json::array()}};
    Tokens names;
    const auto name = [&](const std::string& token) {
      if (model["vocab"].emplace(token, names.size()).second) names.push_back(token);
    };
    for (const std::string& letter : letters) name(letter);
    for (const auto& [left, right] : merges) {
      name(left + right);
      model["merges"].push_back({left, right});
    }
    const auto bpe = Bpe::parse(model, TextUnit::kCharacters, "t");
    ASSERT_TRUE(bpe.ok()) << bpe.status().toString();
    Tokens symbols;
    std::string piece;
    for (unsigned i = random() % 120; i > 0; --i) {
      symbols.push_back(letters[random() % (1 + random() % letters.size())]);
      piece += symbols.back();
    }
    std::vector<TokenId> ids;
    ASSERT_TRUE(bpe->encode(piece, ids).ok());
    Tokens found;
    for (const TokenId id : ids) found.push_back(names.at(id));
    EXPECT_EQ(found, mergedSlowly(symbols, merges)) << model.dump();
  }
}

// What stands at a place without being a character of the vocabulary merges all the same.
TEST(Bpe, BytesAndTheUnknownTokenMergeToo) {
  const json model = json::parse(R"({"byte_fallback": true, "unk_token": "?",
      "vocab": {"?": 0, "<0xC3>": 1, "<0xA9>": 2, "<0xC3><0xA9>": 3, "x": 4, "x?": 5, "y": 6},
      "merges": [["<0xC3>", "<0xA9>"], ["x", "?"]]})");
  const auto bpe = Bpe::parse(model, TextUnit::kCharacters, "t");
  ASSERT_TRUE(bpe.ok()) << bpe.status().toString();
  std::string piece;
  std::vector<TokenId> expected;
  for (int i = 0; i < 20; ++i) {  // long enough to be cut
    piece += "\u00e9x\u4f60y";
    for (const TokenId id : {3, 5, 6}) expected.push_back(id);
  }
  std::vector<TokenId> ids;
  ASSERT_TRUE(bpe->encode(piece, ids).ok());
  EXPECT_EQ(ids, expected);
}

TEST(Bpe, RunsThatMightMergeAreBounded) {
  const json model = json::parse(R"({"vocab": {"a": 0, "aa": 1}, "merges": ["a a"]})");
  const auto bpe = Bpe::parse(model, TextUnit::kBytes, "t");
  ASSERT_TRUE(bpe.ok()) << bpe.status().toString();
  std::vector<TokenId> ids;
  EXPECT_EQ(bpe->encode(std::string(Bpe::kMaxStretch + 1, 'a'), ids).code(),
            ErrorCode::kResourceExhausted);
}

}  // namespace
}  // namespace spolia::engine
