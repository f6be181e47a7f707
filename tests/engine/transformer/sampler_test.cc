#include "engine/transformer/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

namespace spolia::engine {
namespace {

using codec::TokenId;
using Logits = std::vector<float>;

const float kNan = std::nanf("");

// How often each token is chosen of the same logits, each time anew.
std::map<TokenId, double> sharesOf(SamplingOptions options, const Logits& logits,
                                   int draws = 20000) {
  Sampler sampler(options, {});
  std::map<TokenId, double> out;
  for (int i = 0; i < draws; ++i) out[sampler.next(logits)] += 1.0 / draws;
  return out;
}

std::set<TokenId> chosenOf(const SamplingOptions& options, const Logits& logits, int draws = 2000) {
  std::set<TokenId> out;
  for (const auto& [token, share] : sharesOf(options, logits, draws)) out.insert(token);
  return out;
}

SamplingOptions atTemperature(float temperature) {
  SamplingOptions options;
  options.temperature = temperature;
  return options;
}

TEST(Sampler, LowestIdWinsTiesAndNanLoses) {
  EXPECT_EQ(argmax(Logits{1, 3, 3, 2}), 1u);
  EXPECT_EQ(argmax(Logits{kNan, -5, kNan}), 1u);
  EXPECT_EQ(argmax(Logits{-1, kNan}), 0u);
}

TEST(Sampler, WithoutATemperatureItIsTheLikeliest) {
  SamplingOptions options;
  options.topP = 0.5f;
  EXPECT_EQ(chosenOf(options, {1, 4, 4, 2}), std::set<TokenId>{1});
}

TEST(Sampler, SharesAreThoseOfTheDistribution) {
  const Logits logits{0, 1, 2, -1, kNan, -INFINITY};
  for (const float temperature : {0.5f, 1.0f, 2.0f}) {
    double sum = 0;
    for (size_t i = 0; i < 4; ++i) sum += std::exp(logits[i] / temperature);
    auto shares = sharesOf(atTemperature(temperature), logits);
    EXPECT_EQ(shares.size(), 4u);
    // Five times what 20,000 draws scatter.
    for (TokenId t = 0; t < 4; ++t) {
      EXPECT_NEAR(shares[t], std::exp(logits[t] / temperature) / sum, 0.018) << t;
    }
  }
}

TEST(Sampler, ASeedRepeatsAnAnswerAndAnotherDoesNot) {
  const auto drawn = [](uint64_t seed) {
    SamplingOptions options = atTemperature(1);
    options.seed = seed;
    Sampler sampler(options, {});
    std::vector<TokenId> out;
    for (int i = 0; i < 40; ++i) out.push_back(sampler.next(Logits(50, 1.0f)));
    return out;
  };
  EXPECT_EQ(drawn(7), drawn(7));
  EXPECT_NE(drawn(7), drawn(8));
  // Written down once: other machines and compilers choose the same.
  const std::vector<TokenId> first = drawn(7);
  EXPECT_EQ(std::vector<TokenId>(first.begin(), first.begin() + 5),
            (std::vector<TokenId>{37, 47, 5, 44, 7}));
}

TEST(Sampler, TopKLeavesTheLikeliest) {
  SamplingOptions options = atTemperature(5);
  options.topK = 3;
  EXPECT_EQ(chosenOf(options, {0, 5, 4, 3, 3, 1}), (std::set<TokenId>{1, 2, 3}));
  options.topK = 100;
  EXPECT_EQ(chosenOf(options, {0, 5, 4}).size(), 3u);
}

TEST(Sampler, TopPLeavesTheFewestThatHaveIt) {
  // Probabilities 0.5, 0.25, 0.125, 0.125.
  const Logits logits{std::log(0.25f), std::log(0.5f), std::log(0.125f), std::log(0.125f)};
  SamplingOptions options = atTemperature(1);
  for (const auto& [topP, kept] :
       std::map<float, size_t>{{1e-6f, 1}, {0.49f, 1}, {0.6f, 2}, {0.8f, 3}, {0.99f, 4}, {1, 4}}) {
    options.topP = topP;
    const std::set<TokenId> chosen = chosenOf(options, logits);
    EXPECT_EQ(chosen.size(), kept) << topP;
    EXPECT_TRUE(chosen.contains(1)) << topP;
  }
}

// More tokens than are sorted at first.
TEST(Sampler, TopPOfAFlatDistribution) {
  Logits logits(3000);
  for (size_t i = 0; i < logits.size(); ++i)
    logits[i] = static_cast<float>((i * 7919) % 3000) * 1e-6f;
  SamplingOptions options = atTemperature(1);
  options.topP = 0.5f;
  const std::set<TokenId> chosen = chosenOf(options, logits, 6000);
  EXPECT_GT(chosen.size(), 1400u);
  for (const TokenId token : chosen) EXPECT_GT(logits[token], 1498e-6f) << token;
}

TEST(Sampler, MinPIsAShareOfTheLikeliest) {
  const Logits logits{0, std::log(0.5f), std::log(0.2f), std::log(0.05f)};
  SamplingOptions options = atTemperature(1);
  options.minP = 0.19f;
  EXPECT_EQ(chosenOf(options, logits), (std::set<TokenId>{0, 1, 2}));
  options.temperature = 0.5f;  // their probabilities are squared
  EXPECT_EQ(chosenOf(options, logits), (std::set<TokenId>{0, 1}));
}

TEST(Sampler, PenaltiesCountWhatWasChosen) {
  SamplingOptions options;
  options.presencePenalty = 1.5f;
  Sampler once(options, std::vector<TokenId>{0});
  const Logits logits{2, 1, 0};
  EXPECT_EQ(once.next(logits), 0u) << "tokens of the prompt are not penalised";
  EXPECT_EQ(once.next(logits), 1u);
  EXPECT_EQ(once.next(logits), 0u) << "0.5 against -0.5 and 0";
  EXPECT_EQ(once.next(logits), 0u) << "once only";
  options.presencePenalty = 0;
  options.frequencyPenalty = 0.6f;
  Sampler each(options, {});
  std::vector<TokenId> chosen;
  for (int i = 0; i < 6; ++i) chosen.push_back(each.next(logits));
  EXPECT_EQ(chosen, (std::vector<TokenId>{0, 0, 1, 0, 1, 0}));
}

TEST(Sampler, RepetitionIsOfThePromptToo) {
  SamplingOptions options;
  options.repetitionPenalty = 2;
  Sampler sampler(options, std::vector<TokenId>{0, 2, 999});
  EXPECT_EQ(sampler.next(Logits{3, 2, 1}), 1u);
  EXPECT_EQ(sampler.next(Logits{-1, -3, -1.5f}), 0u) << "-2 against -6 and -3";
}

TEST(Sampler, BiasIsAddedAndUnknownTokensDoNotMatter) {
  SamplingOptions options;
  options.bias = {{2, 5.0f}, {77, 100.0f}, {0, -100.0f}};
  EXPECT_EQ(chosenOf(options, {3, 1, 0}), std::set<TokenId>{2});
}

TEST(Sampler, NothingButNumbersIsDrawn) {
  SamplingOptions options = atTemperature(1);
  EXPECT_EQ(chosenOf(options, {kNan, kNan}), std::set<TokenId>{0});
  EXPECT_EQ(chosenOf(options, {INFINITY, 3}), std::set<TokenId>{0});
  EXPECT_EQ(chosenOf(options, {-INFINITY, -INFINITY, 1}), std::set<TokenId>{2});
}

TEST(Sampler, OddsAreThoseOfTheModel) {
  const Logits logits{1, 3, kNan, 2};
  const float sum = std::exp(1.0f) + std::exp(2.0f) + std::exp(3.0f);
  const TokenOdds odds = oddsOf(logits, 0, 9);
  EXPECT_NEAR(odds.chosen, 1 - std::log(sum), 1e-6);
  ASSERT_EQ(odds.likeliest.size(), 4u);
  EXPECT_EQ(odds.likeliest[0].first, 1u);
  EXPECT_NEAR(odds.likeliest[0].second, 3 - std::log(sum), 1e-6);
  EXPECT_EQ(odds.likeliest[1].first, 3u);
  EXPECT_EQ(odds.likeliest[2].first, 0u);
  EXPECT_TRUE(oddsOf(logits, 1, 0).likeliest.empty());
}

}  // namespace
}  // namespace spolia::engine
