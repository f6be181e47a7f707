#include "engine/scheduler/sequence.h"

#include <gtest/gtest.h>

#include "tests/support/tiny_model.h"

namespace spolia::engine {
namespace {

using Tokens = std::vector<codec::TokenId>;

class SequenceTest : public ::testing::Test {
 protected:
  // Logits under which this token is the likeliest.
  std::vector<float> favouring(codec::TokenId token) const {
    std::vector<float> out(model_->config().vocabSize, 0.0f);
    out[token] = 5;
    return out;
  }
  // Feeds a sequence until it ends; what it was told goes to told_.
  StopReason feed(Sequence& sequence, const Tokens& tokens, size_t stopAfter = SIZE_MAX) {
    for (const codec::TokenId token : tokens) {
      const bool going = sequence.take(sequence.choose(favouring(token)), [&](const auto& chosen) {
        told_.push_back(chosen.token);
        return told_.size() < stopAfter;
      });
      if (!going) return sequence.stopped();
    }
    ADD_FAILURE() << "it goes on";
    return StopReason::kAsked;
  }
  SequenceOptions options(uint32_t maxTokens) const {
    SequenceOptions out;
    out.maxTokens = maxTokens;
    return out;
  }

  ModelConfig config() const {
    ModelConfig config = test::tinyConfig();
    config.eosTokens = {200};
    return config;
  }
  std::unique_ptr<Model> model_ = test::makeTinyModel(config(), 1, test::byteTokenizer());
  const Tokens prompt_ = {1, 2, 3};
  Tokens told_;
};

TEST_F(SequenceTest, EndsWithItsLastTokenAtMost) {
  Sequence sequence(*model_, options(3), prompt_);
  EXPECT_EQ(feed(sequence, {65, 66, 67, 68}), StopReason::kMaxTokens);
  EXPECT_EQ(sequence.tokens(), (Tokens{65, 66, 67}));
  EXPECT_EQ(told_, sequence.tokens());
}

TEST_F(SequenceTest, TheEndOfTextAndANewlineAreNoPartOfIt) {
  Sequence ended(*model_, options(10), prompt_);
  EXPECT_EQ(feed(ended, {65, 200}), StopReason::kEndOfText);
  EXPECT_EQ(ended.tokens(), (Tokens{65}));
  Sequence line(*model_, options(10), prompt_);
  EXPECT_EQ(feed(line, {65, '\n'}), StopReason::kNewline);
  EXPECT_EQ(line.tokens(), (Tokens{65}));
  SequenceOptions more = options(2);
  more.stopAtNewline = false;
  Sequence lines(*model_, more, prompt_);
  EXPECT_EQ(feed(lines, {65, '\n'}), StopReason::kMaxTokens);
  EXPECT_EQ(lines.tokens(), (Tokens{65, '\n'}));
}

TEST_F(SequenceTest, WhoIsToldMayEndIt) {
  Sequence sequence(*model_, options(10), prompt_);
  EXPECT_EQ(feed(sequence, {65, 66, 67}, 2), StopReason::kAsked);
  EXPECT_EQ(sequence.tokens(), (Tokens{65, 66})) << "the token it ended behind belongs to it";
}

TEST_F(SequenceTest, RowsFollowThePrompt) {
  KvPages pages(model_->config(), codec::ElementType::kBf16, 10);
  Sequence sequence(*model_, options(10), prompt_);
  for (uint32_t i = 0; i < 3; ++i) {
    ASSERT_TRUE(sequence.take(sequence.choose(favouring(65 + i)), {}));
    const DecodeRow row = sequence.row(pages);
    EXPECT_EQ(row.pages, &pages);
    EXPECT_EQ(row.token, 65 + i);
    EXPECT_EQ(row.position, 3 + i);
  }
}

TEST_F(SequenceTest, OddsAreToldWhereTheyAreAskedFor) {
  SequenceOptions asking = options(10);
  asking.odds = 2;
  Sequence sequence(*model_, asking, prompt_);
  const ChosenToken chosen = sequence.choose(favouring(65));
  ASSERT_TRUE(chosen.odds.has_value());
  EXPECT_EQ(chosen.odds->likeliest.size(), 2u);
  EXPECT_EQ(chosen.odds->likeliest[0].first, 65u);
  EXPECT_FALSE(Sequence(*model_, options(1), prompt_).choose(favouring(65)).odds.has_value());
}

}  // namespace
}  // namespace spolia::engine
