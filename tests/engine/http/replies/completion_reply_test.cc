#include "engine/http/replies/completion_reply.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

namespace spolia::engine {
namespace {

using nlohmann::json;

const ReplyHead kCompletionHead{"cmpl-1", 1700000000, "micro"};
const CompletionReplies kCompletionReplies;

// Two prompts of one choice each.
ApiAnswer twoPrompts() {
  ApiAnswer answer;
  answer.choices = {{"one", std::nullopt, "stop", 2}, {"two", std::nullopt, "length", 3}};
  answer.prompts.resize(2);
  for (AnsweredPrompt& prompt : answer.prompts) prompt.provenance.rows = 10;
  answer.prompts[1].provenance.rowsComputed = 4;
  return answer;
}

TEST(CompletionReply, HasTheFormOfTextCompletions) {
  const json reply = json::parse(kCompletionReplies.whole(kCompletionHead, twoPrompts()));
  EXPECT_EQ(reply["object"], "text_completion");
  EXPECT_EQ(reply["choices"][1]["index"], 1);
  EXPECT_EQ(reply["choices"][1]["text"], "two");
  EXPECT_EQ(reply["choices"][1]["finish_reason"], "length");
  EXPECT_TRUE(reply["choices"][0]["logprobs"].is_null());
  EXPECT_EQ(reply["usage"]["prompt_tokens"], 20);
  EXPECT_EQ(reply["usage"]["completion_tokens"], 5);
  EXPECT_EQ(reply["usage"]["prompt_tokens_details"]["cached_tokens"], 16);
  ASSERT_TRUE(reply["cache"].is_array());
  EXPECT_EQ(reply["cache"][1]["rows_computed"], 4);
}

TEST(CompletionReply, EventsOfAChoiceNameIt) {
  EXPECT_EQ(kCompletionReplies.begin(kCompletionHead, 0), "");
  const json piece =
      json::parse(kCompletionReplies.piece(kCompletionHead, 1, "tw", nullptr).substr(6));
  EXPECT_EQ(piece["object"], "text_completion");
  EXPECT_EQ(piece["choices"][0]["index"], 1);
  EXPECT_EQ(piece["choices"][0]["text"], "tw");
  EXPECT_TRUE(piece["choices"][0]["finish_reason"].is_null());
  const json end = json::parse(kCompletionReplies.end(kCompletionHead, twoPrompts(), 1).substr(6));
  EXPECT_EQ(end["choices"][0]["finish_reason"], "length");
  EXPECT_TRUE(end.contains("cache"));
  EXPECT_FALSE(json::parse(kCompletionReplies.end(kCompletionHead, twoPrompts(), 0).substr(6))
                   .contains("cache"));
  const json usage = json::parse(kCompletionReplies.usage(kCompletionHead, twoPrompts()).substr(6));
  EXPECT_TRUE(usage["choices"].empty());
  EXPECT_EQ(usage["usage"]["total_tokens"], 25);
}

TEST(CompletionReply, LogprobsAreColumns) {
  ApiAnswer answer = twoPrompts();
  answer.choices[0].logprobs = {{"a", -0.5f, {{"a", -0.5f}, {"b", -INFINITY}}, 0},
                                {"\xe2\x82", -2, {}, 1}};
  const json logprobs =
      json::parse(kCompletionReplies.whole(kCompletionHead, answer))["choices"][0]["logprobs"];
  EXPECT_EQ(logprobs["tokens"], json::array({"a", "\xef\xbf\xbd\xef\xbf\xbd"}));
  EXPECT_EQ(logprobs["token_logprobs"], json::array({-0.5, -2.0}));
  EXPECT_EQ(logprobs["top_logprobs"][0]["b"], -9999) << "JSON has no infinity";
  EXPECT_EQ(logprobs["text_offset"], json::array({0, 1}));
}

}  // namespace
}  // namespace spolia::engine
