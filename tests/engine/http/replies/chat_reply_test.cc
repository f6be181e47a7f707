#include "engine/http/replies/chat_reply.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

namespace spolia::engine {
namespace {

using nlohmann::json;

const ReplyHead kHead{"chatcmpl-1", 1700000000, "micro"};

const ChatReplies kReplies;

ApiAnswer sample() {
  ApiAnswer answer;
  answer.choices.resize(1);
  answer.choices[0].text = "sailing \"and\"\nmore";
  answer.choices[0].finishReason = "stop";
  answer.choices[0].completionTokens = 4;
  answer.prompts.resize(1);
  answer.prompts[0].documents = {"a.txt"};
  Provenance& provenance = answer.prompts[0].provenance;
  provenance.method = LinkMethod::kFirstK;
  provenance.k = 16;
  provenance.rows = 100;
  provenance.rowsComputed = 30;
  provenance.bytesRead = 1234;
  ChunkProvenance loaded;
  loaded.name = "a.txt#0";
  loaded.outcome = ChunkOutcome::kLoaded;
  loaded.tier = codec::Tier::kDisk;
  loaded.preset = codec::Preset::kHigh;
  loaded.rows = 60;
  loaded.rowsComputed = 16;
  ChunkProvenance late = loaded;
  late.outcome = ChunkOutcome::kLate;
  late.reason = "not there after 100 ms";
  provenance.chunks = {loaded, late};
  return answer;
}

// The object of one event; fails where it is not one.
json objectOf(const std::string& event) {
  EXPECT_TRUE(event.starts_with("data: ")) << event;
  EXPECT_TRUE(event.ends_with("\n\n")) << event;
  EXPECT_EQ(event.find('\n'), event.size() - 2) << "an event's data is one line: " << event;
  return json::parse(event.substr(6), nullptr, false);
}

TEST(ChatReply, TellsWhatWasReusedAndHow) {
  const json reply = json::parse(kReplies.whole(kHead, sample()));
  EXPECT_EQ(reply["object"], "chat.completion");
  EXPECT_EQ(reply["model"], "micro");
  EXPECT_EQ(reply["choices"][0]["message"]["content"], "sailing \"and\"\nmore");
  EXPECT_EQ(reply["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(reply["usage"]["prompt_tokens"], 100);
  EXPECT_EQ(reply["usage"]["total_tokens"], 104);
  EXPECT_EQ(reply["usage"]["prompt_tokens_details"]["cached_tokens"], 70);
  const json& cache = reply["cache"];
  EXPECT_EQ(cache["method"], "first-k");
  EXPECT_EQ(cache["decoding"], "greedy");
  EXPECT_EQ(cache["rows_computed"], 30);
  EXPECT_EQ(cache["bytes_read"], 1234);
  EXPECT_EQ(cache["documents"], json::array({"a.txt"}));
  ASSERT_EQ(cache["provenance"].size(), 2u);
  EXPECT_EQ(cache["provenance"][0]["tier"], "disk");
  EXPECT_EQ(cache["provenance"][0]["preset"], "high");
  EXPECT_EQ(cache["provenance"][0]["level"], 0);
  EXPECT_EQ(cache["provenance"][1]["outcome"], "late");
  EXPECT_EQ(cache["provenance"][1]["reason"], "not there after 100 ms");
}

TEST(ChatReply, EventsOfOneAnswerBelongTogether) {
  const json role = objectOf(kReplies.begin(kHead, 0)),
             text = objectOf(kReplies.piece(kHead, 0, "a\nb", nullptr)),
             end = objectOf(kReplies.end(kHead, sample(), 0)),
             usage = objectOf(kReplies.usage(kHead, sample()));
  for (const json& event : {role, text, end, usage}) {
    EXPECT_EQ(event["object"], "chat.completion.chunk");
    EXPECT_EQ(event["id"], "chatcmpl-1");
  }
  EXPECT_EQ(role["choices"][0]["delta"]["role"], "assistant");
  EXPECT_EQ(text["choices"][0]["delta"]["content"], "a\nb");
  EXPECT_TRUE(text["choices"][0]["finish_reason"].is_null());
  EXPECT_EQ(end["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(end["cache"]["rows"], 100);
  EXPECT_FALSE(end.contains("usage"));
  EXPECT_TRUE(usage["choices"].empty());
  EXPECT_EQ(usage["usage"]["prompt_tokens_details"]["cached_tokens"], 70);
}

TEST(ChatReply, LogprobsHaveTokensAsTextAndBytes) {
  ApiAnswer answer = sample();
  EXPECT_TRUE(json::parse(kReplies.whole(kHead, answer))["choices"][0]["logprobs"].is_null());
  const std::vector<TokenLogprob> tokens = {{"a", -0.5f, {{"a", -0.5f}, {"\xe2", -INFINITY}}},
                                            {"\xe2\x82", -2, {}}};
  answer.choices[0].logprobs = tokens;
  const json whole = json::parse(kReplies.whole(kHead, answer))["choices"][0]["logprobs"];
  const json piece = objectOf(kReplies.piece(kHead, 0, "a", &tokens))["choices"][0]["logprobs"];
  EXPECT_EQ(whole, piece);
  ASSERT_EQ(whole["content"].size(), 2u);
  EXPECT_EQ(whole["content"][0]["token"], "a");
  EXPECT_EQ(whole["content"][0]["logprob"], -0.5);
  EXPECT_EQ(whole["content"][0]["bytes"], json::array({97}));
  EXPECT_EQ(whole["content"][0]["top_logprobs"][1]["logprob"], -9999) << "JSON has no infinity";
  EXPECT_EQ(whole["content"][1]["bytes"], json::array({0xe2, 0x82}));
  EXPECT_TRUE(whole["content"][1]["top_logprobs"].empty());
}

TEST(ChatReply, TheSeedOfASampledAnswerIsTold) {
  ApiAnswer answer = sample();
  EXPECT_FALSE(json::parse(kReplies.whole(kHead, answer))["cache"].contains("seed"));
  answer.seed = UINT64_MAX;
  const json cache = json::parse(kReplies.whole(kHead, answer))["cache"];
  EXPECT_EQ(cache["decoding"], "sampled");
  EXPECT_EQ(cache["seed"], UINT64_MAX);
}

TEST(ChatReply, SeveralChoicesAreToldByIndexAndCountedTogether) {
  ApiAnswer answer = sample();
  answer.choices.push_back({"other", std::nullopt, "length", 6});
  const json reply = json::parse(kReplies.whole(kHead, answer));
  ASSERT_EQ(reply["choices"].size(), 2u);
  EXPECT_EQ(reply["choices"][1]["index"], 1);
  EXPECT_EQ(reply["choices"][1]["message"]["content"], "other");
  EXPECT_EQ(reply["choices"][1]["finish_reason"], "length");
  EXPECT_EQ(reply["usage"]["prompt_tokens"], 100) << "the prompt is one";
  EXPECT_EQ(reply["usage"]["completion_tokens"], 10);
  const json first = objectOf(kReplies.end(kHead, answer, 0));
  const json last = objectOf(kReplies.end(kHead, answer, 1));
  EXPECT_FALSE(first.contains("cache"));
  EXPECT_EQ(last["choices"][0]["index"], 1);
  EXPECT_EQ(last["cache"]["rows"], 100);
}

TEST(ChatReply, NamesThatAreNotUtf8StillMakeJson) {
  ApiAnswer answer = sample();
  answer.prompts[0].documents = {"bad \xff name"};
  const json reply = json::parse(kReplies.whole(kHead, answer), nullptr, false);
  ASSERT_FALSE(reply.is_discarded());
  EXPECT_EQ(reply["cache"]["documents"][0], "bad \xef\xbf\xbd name");
}

}  // namespace
}  // namespace spolia::engine
