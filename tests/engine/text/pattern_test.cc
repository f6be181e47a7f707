#include "engine/text/pattern.h"

#include <gtest/gtest.h>

namespace spolia::engine {
namespace {

std::vector<std::string> found(std::string_view pattern, std::string_view text) {
  const auto compiled = Pattern::compile(pattern);
  EXPECT_TRUE(compiled.ok()) << compiled.status().toString();
  const auto matches = compiled->findAll(text);
  EXPECT_TRUE(matches.ok()) << matches.status().toString();
  std::vector<std::string> out;
  for (const auto& match : *matches) {
    out.emplace_back(text.substr(match.begin, match.end - match.begin));
  }
  return out;
}

using Texts = std::vector<std::string>;

TEST(Pattern, ClassesMeanWhatTheyMeanToOniguruma) {
  // U+180E is no blank since Unicode 6.3.
  EXPECT_EQ(found(R"(\s+)", "a\u00a0\u3000b\u180ec\u0085"), (Texts{"\u00a0\u3000", "\u0085"}));
  EXPECT_EQ(found(R"([^\s]+)", "a b\u180e"), (Texts{"a", "b\u180e"}));
  EXPECT_EQ(found(R"(\h+)", "xfFz09"), (Texts{"fF", "09"}));
  EXPECT_EQ(found(R"([\h_]+)", "xf_z"), (Texts{"f_"}));
  EXPECT_EQ(found(R"(\w+)", "e\u0301_1 \u4f60-"), (Texts{"e\u0301_1", "\u4f60"}));
  EXPECT_EQ(found(R"(\W)", "a-"), (Texts{"-"}));
  EXPECT_EQ(found(R"(\d)", "1\u0663\u00b2"), (Texts{"1", "\u0663"}));
  EXPECT_EQ(found("\\u0041\\v", "A\vB\n"), (Texts{"A\v"}));
  EXPECT_EQ(found(R"([\[\]]+)", "a[]"), (Texts{"[]"}));
  EXPECT_EQ(found("[[:alpha:]]+", "1ab"), (Texts{"ab"}));
  EXPECT_EQ(found("[]x]", "]x"), (Texts{"]", "x"}));
}

TEST(Pattern, AnchorsHoldAtEveryLine) {
  EXPECT_EQ(found(R"(^\w)", "a\nb\n"), (Texts{"a", "b"}));
  EXPECT_EQ(found(R"(\s+$)", "a \nb "), (Texts{" ", " "}));
}

TEST(Pattern, EmptyMatchesAreSkipped) {
  EXPECT_EQ(found("x*", "\u00e9x\u00e9xx"), (Texts{"x", "xx"}));
  EXPECT_EQ(found(R"(a\Kb|a(?=c))", "abac"), (Texts{"b", "a"}));
}

TEST(Pattern, ALiteralHasNoSpecialCharacters) {
  const std::string text = "a.b*c\\d[e]{f}(g)^$|?+ #\u00e9";
  const auto pattern = Pattern::literal(text);
  ASSERT_TRUE(pattern.ok()) << pattern.status().toString();
  EXPECT_EQ(pattern->findAll("axb" + text)->size(), 1u);
  EXPECT_EQ((*pattern->findAll("axb" + text))[0].begin, 3u);
}

TEST(Pattern, ReplacesMatchesUpToALimit) {
  const auto blanks = Pattern::compile(R"(\s+)"), letter = Pattern::literal("a");
  ASSERT_TRUE(blanks.ok() && letter.ok());
  EXPECT_EQ(*blanks->replaceAll(" x  \u00e9\t", "_", 99), "_x_\u00e9_");
  EXPECT_EQ(*letter->replaceAll("aab$1", "$1", 99), "$1$1b$1") << "what replaces is no pattern";
  EXPECT_EQ(*letter->replaceAll("banana", "", 99), "bnn");
  EXPECT_EQ(letter->replaceAll("aaaa", "xyz", 12)->size(), 12u);
  EXPECT_EQ(letter->replaceAll("aaaa", "xyz", 11).status().code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(Pattern::literal("").status().code(), ErrorCode::kInvalidArgument);
}

TEST(Pattern, WhatCannotBeTranslatedIsRefused) {
  for (const char* pattern : {"[a[bc]]", "[a&&b]", "(?m:.)", "(?im).", R"([\W])", R"([\H])"}) {
    EXPECT_EQ(Pattern::compile(pattern).status().code(), ErrorCode::kUnsupported) << pattern;
  }
  for (const char* pattern : {"(", "[a", "*", R"(\p{Nonsense})", "a{2,1}", "\xff", R"(\C)", "\\"}) {
    const auto compiled = Pattern::compile(pattern);
    EXPECT_EQ(compiled.status().code(), ErrorCode::kInvalidArgument) << pattern;
    EXPECT_NE(compiled.status().message().find("expected a regular expression"), std::string::npos);
  }
}

TEST(Pattern, EndlessBacktrackingIsGivenUp) {
  const auto pattern = Pattern::compile("(a+)+$");
  ASSERT_TRUE(pattern.ok());
  const auto matches = pattern->findAll(std::string(40, 'a') + "!");
  EXPECT_EQ(matches.status().code(), ErrorCode::kResourceExhausted);
}

TEST(Pattern, DeepRecursionNeedsNoDeepStack) {
  const auto pattern = Pattern::compile("(?:a|b)*?c");
  ASSERT_TRUE(pattern.ok());
  const auto matches = pattern->findAll(std::string(200000, 'a') + "c");
  ASSERT_TRUE(matches.ok()) << matches.status().toString();
  EXPECT_EQ(matches->size(), 1u);
}

}  // namespace
}  // namespace spolia::engine
