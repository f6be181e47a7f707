#include "engine/http/chat_request.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "engine/http/body_fields.h"

namespace spolia::engine {
namespace {

using nlohmann::json;

json plain() {
  return {{"model", "m"}, {"messages", json::array({{{"role", "user"}, {"content", "why?"}}})}};
}

ChatRequest accepted(const json& body) {
  std::variant<ChatRequest, ApiError> parsed = parseChatRequest(body.dump());
  if (const auto* error = std::get_if<ApiError>(&parsed)) {
    ADD_FAILURE() << body.dump() << ": " << error->message;
    return {};
  }
  return std::get<ChatRequest>(std::move(parsed));
}

ApiError refusal(std::string_view body) {
  std::variant<ChatRequest, ApiError> parsed = parseChatRequest(body);
  if (const auto* error = std::get_if<ApiError>(&parsed)) return *error;
  ADD_FAILURE() << "accepted: " << body.substr(0, 200);
  return {};
}

// `value` in `field` is refusal, with the field named.
void expectRefused(const char* field, const json& value, const std::string& param) {
  json body = plain();
  body[field] = value;
  const ApiError error = refusal(body.dump());
  EXPECT_EQ(error.status, 400u) << body;
  EXPECT_EQ(error.param, param) << body;
  EXPECT_NE(error.message.find(param), std::string::npos) << error.message;
}

TEST(ChatRequest, ReadsSaltAndArgumentsOfTheTemplate) {
  json body = plain();
  body["cache_salt"] = "s";
  body["chat_template_kwargs"] = {{"enable_thinking", false}};
  const ChatRequest request = accepted(body);
  EXPECT_EQ(request.cacheSalt, "s");
  ASSERT_EQ(request.templateArguments.size(), 1u);
  EXPECT_EQ(request.templateArguments[0].first, "enable_thinking");
  EXPECT_FALSE(request.templateArguments[0].second.truth());
  for (const json& salt : {json(""), json(3), json(std::string(257, 'x'))}) {
    expectRefused("cache_salt", salt, "cache_salt");
  }
  expectRefused("chat_template_kwargs", 3, "chat_template_kwargs");
  expectRefused("chat_template_kwargs", {{"messages", 1}}, "chat_template_kwargs");
}

TEST(ChatRequest, ReadsWhatItKnowsAndLetsTheRestPass) {
  json body = plain();
  body["max_tokens"] = 7;
  body["stream"] = true;
  body["stream_options"] = {{"include_usage", true}, {"else", 1}};
  body["stop"] = {"a", "b"};
  body["top_documents"] = 3;
  body["link"] = {{"method", "first-k"}, {"k", 8}};
  body["documents"] = {"a.txt", {{"name", "b.txt"}}, {{"text", "words"}}};
  body["metadata"] = {{"any", {1, 2, 3}}};
  const ChatRequest request = accepted(body);
  EXPECT_EQ(request.model, "m");
  EXPECT_EQ(request.messages.at(0).text, "why?");
  EXPECT_EQ(request.maxTokens, 7u);
  EXPECT_TRUE(request.stream && request.includeUsage);
  EXPECT_EQ(request.stop, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(request.topDocuments, 3u);
  EXPECT_EQ(request.method, LinkMethod::kFirstK);
  EXPECT_EQ(request.k, 8u);
  ASSERT_EQ(request.documents.size(), 3u);
  EXPECT_EQ(request.documents[1].name, "b.txt");
  EXPECT_EQ(request.documents[2].text, "words");
}

TEST(ChatRequest, NewNameOfTheTokenLimitWins) {
  json body = plain();
  body["max_tokens"] = 7;
  body["max_completion_tokens"] = 9;
  EXPECT_EQ(accepted(body).maxTokens, 9u);
}

TEST(ChatRequest, NullIsAsIfAbsent) {
  json body = plain();
  for (const char* field : {"max_tokens", "stop", "documents", "link", "n", "tools", "stream",
                            "stream_options", "temperature", "top_documents"}) {
    body[field] = nullptr;
  }
  const ChatRequest request = accepted(body);
  EXPECT_FALSE(request.maxTokens || request.topDocuments || request.stream);
}

TEST(ChatRequest, PartsOfTextArePutTogether) {
  json body = plain();
  body["messages"][0]["content"] = {{{"type", "text"}, {"text", "a"}},
                                    {{"type", "text"}, {"text", "b"}}};
  EXPECT_EQ(accepted(body).messages.at(0).text, "ab");
  body["messages"][0]["content"][1]["type"] = "image_url";
  EXPECT_EQ(refusal(body.dump()).param, "messages[0].content[1].type");
}

TEST(ChatRequest, WrongTypesAreNamed) {
  expectRefused("model", 5, "model");
  expectRefused("messages", "hello", "messages");
  expectRefused("messages", json::array(), "messages");
  expectRefused("messages", {"hello"}, "messages[0]");
  expectRefused("messages", {{{"role", "robot"}, {"content", "x"}}}, "messages[0].role");
  expectRefused("messages", {{{"role", "user"}}}, "messages[0].content");
  expectRefused("documents", "a.txt", "documents");
  expectRefused("documents", {1}, "documents[0]");
  expectRefused("documents", json::array({json::object()}), "documents[0]");
  expectRefused("documents", {{{"text", 1}}}, "documents[0].text");
  expectRefused("link", "first-k", "link");
  expectRefused("link", {{"method", "fist-k"}}, "link.method");
  expectRefused("stream", "yes", "stream");
  expectRefused("stream_options", true, "stream_options");
  expectRefused("stop", 5, "stop");
  expectRefused("stop", "", "stop");
  expectRefused("stop", {"a", "b", "c", "d", "e"}, "stop");
  expectRefused("temperature", "hot", "temperature");
}

TEST(ChatRequest, NumbersOutOfRangeAreNamed) {
  for (const char* field : {"max_tokens", "max_completion_tokens", "top_documents"}) {
    for (const json& value : {json(-1), json(0), json(1.5), json(1e300), json(UINT64_MAX),
                              json(INT64_MIN), json("5"), json(true)}) {
      expectRefused(field, value, field);
    }
  }
  expectRefused("temperature", -0.1, "temperature");
  expectRefused("top_p", 1.5, "top_p");
  EXPECT_EQ(refusal(R"({"model": "m", "max_tokens": 1e999})").status, 400u);
}

TEST(ChatRequest, SamplingIsReadAndGreedyWithoutATemperature) {
  EXPECT_TRUE(accepted(plain()).sampling.greedy());
  EXPECT_FALSE(accepted(plain()).logprobs);
  json body = plain();
  body["temperature"] = 0.7;
  body["top_p"] = 0.9;
  body["top_k"] = 40;
  body["min_p"] = 0.05;
  body["presence_penalty"] = -0.5;
  body["frequency_penalty"] = 1;
  body["repetition_penalty"] = 1.1;
  body["seed"] = -3;
  body["logit_bias"] = {{"17", -100}, {"4", 2.5}};
  body["logprobs"] = true;
  body["top_logprobs"] = 5;
  const ChatRequest request = accepted(body);
  const SamplingOptions& got = request.sampling;
  EXPECT_FLOAT_EQ(got.temperature, 0.7f);
  EXPECT_FLOAT_EQ(got.topP, 0.9f);
  EXPECT_EQ(got.topK, 40u);
  EXPECT_FLOAT_EQ(got.minP, 0.05f);
  EXPECT_FLOAT_EQ(got.presencePenalty, -0.5f);
  EXPECT_FLOAT_EQ(got.frequencyPenalty, 1);
  EXPECT_FLOAT_EQ(got.repetitionPenalty, 1.1f);
  EXPECT_EQ(got.seed, static_cast<uint64_t>(-3));
  EXPECT_EQ(got.bias, (std::vector<std::pair<codec::TokenId, float>>{{17, -100.0f}, {4, 2.5f}}));
  EXPECT_EQ(request.logprobs, 5u);
  body["top_k"] = -1;
  body.erase("top_logprobs");
  EXPECT_EQ(accepted(body).sampling.topK, 0u);
  EXPECT_EQ(accepted(body).logprobs, 0u);
  body.erase("seed");
  EXPECT_NE(accepted(body).sampling.seed, accepted(body).sampling.seed);
}

TEST(ChatRequest, SamplingOutOfRangeIsNamed) {
  for (const char* field : {"temperature", "top_p", "min_p", "presence_penalty",
                            "frequency_penalty", "repetition_penalty", "seed", "top_k"}) {
    for (const json& value : {json("1"), json::array(), json(1e300), json(true)}) {
      expectRefused(field, value, field);
    }
  }
  expectRefused("seed", 1.5, "seed");
  expectRefused("repetition_penalty", 0, "repetition_penalty");
  for (const json& value : {json("x"), json{{"17", 101}}, json{{"17", "1"}}, json{{"-1", 1}},
                            json{{"99999999999", 1}}, json{{"1x", 1}}, json{{"", 1}}}) {
    expectRefused("logit_bias", value, "logit_bias");
  }
  expectRefused("logprobs", 3, "logprobs");
  expectRefused("top_logprobs", 5, "top_logprobs");
  json body = plain();
  body["logprobs"] = true;
  body["top_logprobs"] = 21;
  EXPECT_EQ(refusal(body.dump()).param, "top_logprobs");
}

TEST(ChatRequest, WhatIsNotDoneIsRefusedAndNotIgnored) {
  expectRefused("n", 17, "n");
  expectRefused("n", 0, "n");
  expectRefused("timeout_ms", 0, "timeout_ms");
  expectRefused("tools", {{{"type", "function"}}}, "tools");
  json body = plain();
  body["n"] = 16;
  body["timeout_ms"] = 500;
  body["tools"] = json::array();
  EXPECT_EQ(accepted(body).choices, 16u);
  EXPECT_EQ(accepted(body).timeoutMs, 500u);
}

TEST(ChatRequest, BodiesThatAreNoObjectAreRefused) {
  for (const char* body :
       {"", "{", "[]", "null", "\"x\"", "{} {}", "{\"a\": \"\xff\"}", "{\"a\": \"\\ud800\"}",
        "{'a': 1}", "{\"a\": 1e9999}", "{\"a\": 1, \"b\": {\"a\": 2, \"a\": 2}}"}) {
    const ApiError error = refusal(body);
    EXPECT_EQ(error.status, 400u) << body;
    EXPECT_EQ(error.code, "invalid_json") << body;
  }
}

TEST(ChatRequest, NestingIsBounded) {
  const auto nested = [](size_t depth) {
    return R"({"model": "m", "messages": [{"role": "user", "content": "x"}], "else": )" +
           std::string(depth, '[') + std::string(depth, ']') + "}";
  };
  EXPECT_TRUE(std::holds_alternative<ChatRequest>(parseChatRequest(nested(kMaxBodyDepth - 1))));
  EXPECT_EQ(refusal(nested(kMaxBodyDepth)).status, 400u);
  EXPECT_EQ(refusal(nested(100'000)).status, 400u);
  EXPECT_EQ(refusal(std::string(100'000, '[')).status, 400u);
  // Brackets within texts are no nesting.
  json body = plain();
  body["messages"][0]["content"] = "\\\"" + std::string(1000, '[');
  accepted(body);
}

}  // namespace
}  // namespace spolia::engine
