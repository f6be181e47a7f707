#include "engine/http/chat_service.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <map>
#include <nlohmann/json.hpp>

#include "tests/engine/linker/fake_kv_source.h"
#include "tests/support/tiny_model.h"

namespace spolia::engine {
namespace {

using nlohmann::json;

// Keeps what it is sent. Leaves, if asked to, once it has `pieces` pieces of a stream.
class FakeChannel : public ReplyChannel {
 public:
  explicit FakeChannel(size_t leaveAfter = SIZE_MAX) : leaveAfter_(leaveAfter) {}

  void send(HttpResponse response) override {
    const std::lock_guard lock(mutex_);
    response_ = std::move(response);
    finish();
  }
  void begin(std::string_view) override {}
  void write(std::string text) override {
    const std::lock_guard lock(mutex_);
    stream_.push_back(std::move(text));
  }
  void end() override {
    const std::lock_guard lock(mutex_);
    finish();
  }
  bool gone() const override {
    const std::lock_guard lock(mutex_);
    return stream_.size() >= leaveAfter_;
  }

  // Waits for the end.
  HttpResponse response() {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds(60), [this] { return done_; }));
    return response_;
  }
  std::vector<std::string> stream() {
    response();
    const std::lock_guard lock(mutex_);
    return stream_;
  }
  size_t pieces() const {
    const std::lock_guard lock(mutex_);
    return stream_.size();
  }

 private:
  void finish() {
    done_ = true;
    changed_.notify_all();
  }

  const size_t leaveAfter_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  HttpResponse response_;
  std::vector<std::string> stream_;
  bool done_ = false;
};

ChatRequest request(const std::string& question = "What?") {
  ChatRequest out;
  out.model = "tiny";
  out.messages = {{"user", question}};
  out.maxTokens = 8;
  return out;
}

std::string message(const HttpResponse& response) {
  return json::parse(response.body, nullptr, false)["error"].value("message", "");
}

class ChatServiceTest : public ::testing::Test {
 protected:
  explicit ChatServiceTest(size_t requestsAtOnce = 1) {
    ChatService::Config config;
    config.modelName = "tiny";
    config.prompts.questionTemplate = "Q: {question} A:";
    config.link.patience = std::chrono::minutes(10);
    config.queue = 2;
    config.scheduler.maxRequests = requestsAtOnce;
    service_.emplace(*model_, transformer_, pool_, source_, metrics_, config);
  }
  std::shared_ptr<FakeChannel> submit(ChatRequest request, size_t leaveAfter = SIZE_MAX) {
    auto channel = std::make_shared<FakeChannel>(leaveAfter);
    service_->submit(std::move(request), channel);
    return channel;
  }
  // A request over a document the source knows, whose chunk it holds back.
  ChatRequest heldRequest() {
    DocumentLibrary library(*model_, transformer_, source_, {});
    EXPECT_TRUE(library.put("held.txt", "Some text of a document.").ok());
    source_.onOpen = [](const ChunkId&, uint32_t) { return Fault::kHeld; };
    ChatRequest out = request();
    out.documents = {{"held.txt", std::nullopt}};
    return out;
  }
  // Until the service's thread has asked the source, which does not answer.
  void waitUntilHeld(uint32_t opensBefore) {
    while (source_.opens() == opensBefore) std::this_thread::yield();
  }
  double metric(const std::string& name) {
    const std::string text = metrics_.text({});
    const size_t at = text.find("\nspolia_engine_" + name + " ");
    return at == std::string::npos ? -1 : std::stod(text.substr(at + name.size() + 16));
  }

  std::unique_ptr<Model> model_ = test::makeTinyModel(test::tinyConfig(), 1, test::byteTokenizer());
  ThreadPool pool_{2};
  Transformer transformer_{*model_, pool_, Rounding::kInvariant};
  FakeKvSource source_{1};
  ApiMetrics metrics_;
  std::optional<ChatService> service_;
};

TEST_F(ChatServiceTest, AnswersWholeAndAsAStreamTheSame) {
  const json whole = json::parse(submit(request())->response().body);
  ChatRequest streaming = request();
  streaming.stream = streaming.includeUsage = true;
  const auto events = submit(streaming)->stream();
  ASSERT_GE(events.size(), 4u);
  EXPECT_EQ(events.back(), kDoneEvent);
  std::string text;
  for (const std::string& event : events) {
    const json object = json::parse(event.substr(6), nullptr, false);
    if (!object.is_discarded() && !object["choices"].empty()) {
      text += object["choices"][0]["delta"].value("content", "");
    }
  }
  EXPECT_EQ(text, whole["choices"][0]["message"]["content"]);
  const json usage = json::parse(events[events.size() - 2].substr(6));
  EXPECT_EQ(usage["usage"], whole["usage"]);
  EXPECT_EQ(whole["usage"]["completion_tokens"], 8);
  EXPECT_EQ(whole["choices"][0]["finish_reason"], "length");
}

TEST_F(ChatServiceTest, ASeedRepeatsASampledAnswer) {
  const auto textOf = [&](uint64_t seed, float temperature) {
    ChatRequest sampled = request();
    sampled.sampling.temperature = temperature;
    sampled.sampling.seed = seed;
    const json reply = json::parse(submit(sampled)->response().body);
    EXPECT_EQ(reply["cache"]["decoding"], "sampled");
    EXPECT_EQ(reply["cache"]["seed"], seed);
    return reply["choices"][0]["message"]["content"].get<std::string>();
  };
  // So hot that bytes come almost evenly.
  EXPECT_EQ(textOf(1, 100), textOf(1, 100));
  EXPECT_NE(textOf(1, 100), textOf(2, 100));
}

TEST_F(ChatServiceTest, LogprobsOfAStreamAreThoseOfTheWhole) {
  ChatRequest asking = request();
  asking.logprobs = 2;
  const json whole = json::parse(submit(asking)->response().body)["choices"][0]["logprobs"];
  ASSERT_EQ(whole["content"].size(), 8u);
  for (const json& token : whole["content"]) {
    ASSERT_EQ(token["top_logprobs"].size(), 2u);
    EXPECT_EQ(token["top_logprobs"][0]["bytes"], token["bytes"]) << "greedy: the likeliest";
    EXPECT_LE(token["logprob"], 0);
    EXPECT_GE(token["logprob"], token["top_logprobs"][1]["logprob"]);
  }
  asking.stream = true;
  json pieces = json::array();
  for (const std::string& event : submit(asking)->stream()) {
    const json object = json::parse(event.substr(6), nullptr, false);
    if (object.is_discarded() || object["choices"].empty()) continue;
    const json& logprobs = object["choices"][0]["logprobs"];
    if (logprobs.is_null()) continue;
    for (const json& token : logprobs["content"]) pieces.push_back(token);
  }
  EXPECT_EQ(pieces, whole["content"]);
}

TEST_F(ChatServiceTest, AFullQueueIsToldAndTheOthersAreAnswered) {
  const ChatRequest held = heldRequest();
  const uint32_t before = source_.opens();
  const auto running = submit(held);
  waitUntilHeld(before);
  const auto waiting = submit(request()), waitingToo = submit(request());
  const HttpResponse refused = submit(request())->response();
  EXPECT_EQ(refused.status, 429u);
  EXPECT_GT(refused.retryAfterSeconds, 0u);
  EXPECT_EQ(message(refused), "2 requests are waiting already; try again later");
  EXPECT_EQ(service_->queued(), 3u);
  source_.release();
  for (const auto& channel : {running, waiting, waitingToo}) {
    EXPECT_EQ(channel->response().status, 200u) << channel->response().body;
  }
}

TEST_F(ChatServiceTest, StoppingFinishesTheRunningAnswerAndTellsThoseThatWait) {
  const ChatRequest held = heldRequest();
  const uint32_t before = source_.opens();
  const auto running = submit(held);
  waitUntilHeld(before);
  const auto waiting = submit(request()), waitingToo = submit(request());
  std::thread stopping([&] { service_->stop(); });
  // The queue is full: a further request is refused at once, and as stopping from then on.
  while (submit(request())->response().status != 503) std::this_thread::yield();
  source_.release();
  stopping.join();
  EXPECT_EQ(running->response().status, 200u);
  EXPECT_EQ(waiting->response().status, 503u);
  EXPECT_EQ(waitingToo->response().status, 503u);
}

TEST_F(ChatServiceTest, AnAnswerEndsWhenItsClientLeaves) {
  ChatRequest endless = request();
  endless.stream = true;
  endless.maxTokens = 500;
  const auto channel = submit(endless, 3);
  EXPECT_EQ(submit(request())->response().status, 200u);  // behind it
  EXPECT_LE(channel->pieces(), 4u);
  EXPECT_EQ(metric("abandoned_total"), 1);
}

TEST_F(ChatServiceTest, AClientThatLeftInTheQueueIsNotComputedFor) {
  const ChatRequest held = heldRequest();
  const uint32_t before = source_.opens();
  const auto running = submit(held);
  waitUntilHeld(before);
  const auto left = submit(request(), 0);
  source_.release();
  EXPECT_EQ(running->response().status, 200u);
  EXPECT_EQ(submit(request())->response().status, 200u);
  EXPECT_EQ(left->pieces(), 0u);
  EXPECT_EQ(metric("abandoned_total"), 1);
}

TEST_F(ChatServiceTest, ErrorsOfTheEngineHaveAStatusOfTheirOwn) {
  ChatRequest other = request();
  other.model = "other";
  EXPECT_EQ(submit(other)->response().status, 404u);
  ChatRequest unknown = request();
  unknown.documents = {{"none.txt", std::nullopt}};
  unknown.stream = true;
  const HttpResponse missing = submit(unknown)->response();
  EXPECT_EQ(missing.status, 404u);
  EXPECT_EQ(message(missing), "there is no document \"none.txt\"");
  const HttpResponse tooLong = submit(request(std::string(2000, 'x')))->response();
  EXPECT_EQ(tooLong.status, 400u);
  EXPECT_NE(message(tooLong).find("1024"), std::string::npos) << message(tooLong);
  EXPECT_EQ(submit(request())->response().status, 200u);
}

// A source that gives nothing costs time, not the answer.
TEST_F(ChatServiceTest, AFailingSourceIsAMiss) {
  const ChatRequest asked = heldRequest();
  source_.onOpen = [](const ChunkId&, uint32_t) { return Fault::kUnavailable; };
  const HttpResponse reply = submit(asked)->response();
  ASSERT_EQ(reply.status, 200u) << reply.body;
  const json cache = json::parse(reply.body)["cache"];
  EXPECT_EQ(cache["chunks_hit"], 0);
  EXPECT_EQ(cache["rows_computed"], cache["rows"]);
}

// The objects of a stream's events.
std::vector<json> eventsOf(const std::vector<std::string>& stream) {
  std::vector<json> out;
  for (const std::string& event : stream) {
    const json object = json::parse(event.substr(6), nullptr, false);
    if (!object.is_discarded()) out.push_back(object);
  }
  return out;
}
// Text of each choice of a chat stream.
std::map<int, std::string> textsOf(const std::vector<std::string>& stream) {
  std::map<int, std::string> out;
  for (const json& event : eventsOf(stream)) {
    for (const json& choice : event["choices"]) {
      out[choice["index"].get<int>()] += choice["delta"].value("content", "");
    }
  }
  return out;
}

class BusyChatServiceTest : public ChatServiceTest {
 protected:
  BusyChatServiceTest() : ChatServiceTest(8) {}
};

// More clients than are let in and may wait come at once; those that leave midway disturb nobody.
TEST_F(BusyChatServiceTest, ClientsAtOnceAreAnsweredAsTheyAreAlone) {
  std::map<std::string, std::string> wanted;
  const auto question = [](int i) {
    return "What is " + std::string(static_cast<size_t>(i % 4), 'x');
  };
  for (int i = 0; i < 4; ++i) {
    ChatRequest asked = request(question(i));
    asked.maxTokens = 12;
    const json reply = json::parse(submit(asked)->response().body);
    wanted[question(i)] = reply["choices"][0]["message"]["content"];
  }
  std::vector<std::thread> clients;
  std::atomic<int> whole{0}, refused{0};
  for (int i = 0; i < 32; ++i) {
    clients.emplace_back([&, i] {
      const bool leaves = i % 5 == 0;
      for (;;) {
        ChatRequest asked = request(question(i));
        asked.stream = true;
        asked.maxTokens = leaves ? 400 : 12;
        const auto channel = submit(asked, leaves ? 4 : SIZE_MAX);
        if (leaves) break;
        if (channel->response().status == 429) {
          ++refused;
          std::this_thread::yield();
          continue;
        }
        EXPECT_EQ(textsOf(channel->stream())[0], wanted[question(i)]);
        ++whole;
        break;
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(whole, 25);
  while (service_->queued() > 0) std::this_thread::yield();
  service_->stop();
  EXPECT_EQ(service_->stats().prompts + service_->stats().decoding, 0u);
}

TEST_F(BusyChatServiceTest, ChoicesOfARequestAreThoseOfTheirSeeds) {
  ChatRequest asked = request();
  asked.sampling.temperature = 5;
  asked.sampling.seed = 40;
  asked.choices = 4;
  const json reply = json::parse(submit(asked)->response().body);
  ASSERT_EQ(reply["choices"].size(), 4u);
  for (uint64_t i = 0; i < 4; ++i) {
    ChatRequest one = asked;
    one.choices = 1;
    one.sampling.seed = 40 + i;
    const json alone = json::parse(submit(one)->response().body);
    EXPECT_EQ(reply["choices"][i]["message"], alone["choices"][0]["message"]);
    EXPECT_EQ(reply["choices"][i]["index"], i);
    EXPECT_EQ(reply["usage"]["prompt_tokens"], alone["usage"]["prompt_tokens"]);
  }
  asked.stream = true;
  const auto channel = submit(asked);
  const auto texts = textsOf(channel->stream());
  ASSERT_EQ(texts.size(), 4u);
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(texts.at(i), reply["choices"][static_cast<size_t>(i)]["message"]["content"]);
  }
  size_t ends = 0;
  for (const json& event : eventsOf(channel->stream())) {
    for (const json& choice : event["choices"]) ends += !choice["finish_reason"].is_null();
  }
  EXPECT_EQ(ends, 4u);
}

TEST_F(BusyChatServiceTest, TextCompletionsContinueTheirPrompts) {
  CompletionRequest asked;
  asked.model = "tiny";
  asked.maxTokens = 6;
  asked.choices = 2;
  asked.logprobs = 1;
  asked.prompts = {"Once", std::vector<codec::TokenId>{'O', 'n', 'c', 'e'}, "Twice"};
  const auto submitted = [&](const CompletionRequest& request) {
    auto channel = std::make_shared<FakeChannel>();
    service_->submit(request, channel);
    return channel;
  };
  const json reply = json::parse(submitted(asked)->response().body);
  EXPECT_EQ(reply["object"], "text_completion");
  ASSERT_EQ(reply["choices"].size(), 6u);
  EXPECT_EQ(reply["choices"][0]["text"], reply["choices"][2]["text"]) << "the same prompt";
  EXPECT_EQ(reply["choices"][0]["logprobs"]["tokens"].size(), 6u);
  EXPECT_EQ(reply["usage"]["prompt_tokens"], 5 + 5 + 6);
  EXPECT_EQ(reply["usage"]["completion_tokens"], 36);
  EXPECT_EQ(reply["cache"].size(), 3u);
  asked.stream = true;
  std::map<int, std::string> texts;
  for (const json& event : eventsOf(submitted(asked)->stream())) {
    for (const json& choice : event["choices"]) {
      texts[choice["index"].get<int>()] += choice["text"].get<std::string>();
    }
  }
  for (const json& choice : reply["choices"]) EXPECT_EQ(texts[choice["index"]], choice["text"]);

  CompletionRequest bad = asked;
  bad.stream = false;
  bad.prompts = {std::vector<codec::TokenId>{7, 100000}};
  EXPECT_EQ(submitted(bad)->response().status, 400u);
  bad.prompts = {std::string(2000, 'x')};
  const HttpResponse tooLong = submitted(bad)->response();
  EXPECT_EQ(tooLong.status, 400u);
  EXPECT_NE(message(tooLong).find("1024"), std::string::npos);
}

TEST_F(BusyChatServiceTest, AnAnswerThatTakesTooLongIsGivenUp) {
  ChatRequest held = heldRequest();
  held.timeoutMs = 50;
  const HttpResponse reply = submit(held)->response();
  EXPECT_EQ(reply.status, 408u);
  EXPECT_EQ(json::parse(reply.body)["error"]["code"], "timeout");
  source_.release();
  EXPECT_EQ(submit(request())->response().status, 200u);
}

TEST_F(BusyChatServiceTest, AnAnswerThatFitsNoMemoryIsRefused) {
  ChatService::Config config;
  config.modelName = "tiny";
  config.prompts.questionTemplate = "Q: {question} A:";
  config.scheduler.kvBytes = 1;  // one page
  service_.emplace(*model_, transformer_, pool_, source_, metrics_, config);
  ChatRequest asked = request();
  asked.maxTokens = 200;
  EXPECT_EQ(submit(asked)->response().status, 413u);
  EXPECT_EQ(submit(request())->response().status, 200u);
}

// Documents inside of a message are chunks the next time, with another question.
TEST_F(BusyChatServiceTest, WhatAMessageHadIsFoundInTheNext) {
  ChatService::Config config;
  config.modelName = "tiny";
  config.prompts.questionTemplate = "Q: {question} A:";
  config.prompts.cut = {"##", 0};
  config.link.patience = std::chrono::minutes(10);
  service_.emplace(*model_, transformer_, pool_, source_, metrics_, config);
  const std::string documents = std::string(200, 'a') + ".##" + std::string(150, 'b') + ".##";
  const auto cachedOf = [&](const std::string& question) {
    const json reply = json::parse(submit(request(documents + question))->response().body);
    EXPECT_EQ(reply["cache"]["documents"].size(), 2u);
    return reply["usage"]["prompt_tokens_details"]["cached_tokens"].get<int>();
  };
  cachedOf("Why?");
  const uint32_t fetched = source_.fetches();
  EXPECT_GE(cachedOf("Who?"), 300);
  EXPECT_GT(source_.fetches(), fetched);
}

}  // namespace
}  // namespace spolia::engine
