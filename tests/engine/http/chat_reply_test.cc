#include "engine/http/chat_reply.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace spolia::engine {
namespace {

using nlohmann::json;

const ReplyHead kHead{"chatcmpl-1", 1700000000, "micro"};

ChatAnswer sample() {
  ChatAnswer answer;
  answer.text = "sailing \"and\"\nmore";
  answer.finishReason = "stop";
  answer.completionTokens = 4;
  answer.documents = {"a.txt"};
  answer.provenance.method = LinkMethod::kFirstK;
  answer.provenance.k = 16;
  answer.provenance.rows = 100;
  answer.provenance.rowsComputed = 30;
  answer.provenance.bytesRead = 1234;
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
  answer.provenance.chunks = {loaded, late};
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
  const json reply = json::parse(completionText(kHead, sample()));
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
  const json role = objectOf(roleEvent(kHead)), text = objectOf(textEvent(kHead, "a\nb")),
             end = objectOf(endEvent(kHead, sample())),
             usage = objectOf(usageEvent(kHead, sample()));
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

TEST(ChatReply, NamesThatAreNotUtf8StillMakeJson) {
  ChatAnswer answer = sample();
  answer.documents = {"bad \xff name"};
  const json reply = json::parse(completionText(kHead, answer), nullptr, false);
  ASSERT_FALSE(reply.is_discarded());
  EXPECT_EQ(reply["cache"]["documents"][0], "bad \xef\xbf\xbd name");
}

}  // namespace
}  // namespace spolia::engine
