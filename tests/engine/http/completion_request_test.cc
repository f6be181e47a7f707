#include "engine/http/completion_request.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace spolia::engine {
namespace {

using nlohmann::json;
using Tokens = std::vector<codec::TokenId>;

json plainCompletion() {
  return {{"model", "micro"}, {"prompt", "Once"}};
}
CompletionRequest acceptedCompletion(const json& body) {
  auto parsed = parseCompletionRequest(body.dump());
  if (const auto* error = std::get_if<ApiError>(&parsed)) ADD_FAILURE() << error->message;
  return std::holds_alternative<CompletionRequest>(parsed)
             ? std::get<CompletionRequest>(std::move(parsed))
             : CompletionRequest();
}
void expectRefused(const std::string& field, const json& value) {
  json body = plainCompletion();
  body[field] = value;
  const auto parsed = parseCompletionRequest(body.dump());
  ASSERT_TRUE(std::holds_alternative<ApiError>(parsed)) << body;
  EXPECT_EQ(std::get<ApiError>(parsed).param, field);
  EXPECT_EQ(std::get<ApiError>(parsed).status, 400u);
}

TEST(CompletionRequest, PromptsAreTextsOrTokens) {
  json body = plainCompletion();
  EXPECT_EQ(std::get<std::string>(acceptedCompletion(body).prompts.at(0)), "Once");
  body["prompt"] = {"a", "b"};
  EXPECT_EQ(acceptedCompletion(body).prompts.size(), 2u);
  body["prompt"] = {1, 2, 3};
  ASSERT_EQ(acceptedCompletion(body).prompts.size(), 1u);
  EXPECT_EQ(std::get<Tokens>(acceptedCompletion(body).prompts[0]), (Tokens{1, 2, 3}));
  body["prompt"] = {{1, 2}, {3}};
  ASSERT_EQ(acceptedCompletion(body).prompts.size(), 2u);
  EXPECT_EQ(std::get<Tokens>(acceptedCompletion(body).prompts[1]), (Tokens{3}));
}

TEST(CompletionRequest, OtherPromptsAreRefused) {
  for (const json& prompt :
       {json(5), json::array(), json::array({json::array()}), json::array({-1}),
        json::array({1, "a"}), json(std::vector<std::string>(17, "x")), json(), json({{"a", 1}})}) {
    expectRefused("prompt", prompt);
  }
}

TEST(CompletionRequest, FieldsAreThoseOfChatsWhereTheyAreTheSame) {
  json body = plainCompletion();
  body.update({{"max_tokens", 5},
               {"n", 3},
               {"stop", "x"},
               {"stream", true},
               {"seed", 7},
               {"temperature", 1},
               {"logprobs", 2},
               {"best_of", 3},
               {"echo", false},
               {"link", {{"method", "prefix"}}}});
  const CompletionRequest request = acceptedCompletion(body);
  EXPECT_EQ(request.maxTokens, 5u);
  EXPECT_EQ(request.choices, 3u);
  EXPECT_EQ(request.logprobs, 2u);
  EXPECT_EQ(request.sampling.seed, 7u);
  EXPECT_EQ(request.method, LinkMethod::kPrefix);
  EXPECT_TRUE(request.stream);
}

TEST(CompletionRequest, WhatIsNotDoneIsRefusedByName) {
  expectRefused("echo", true);
  expectRefused("suffix", "and so on");
  expectRefused("best_of", 4);
  expectRefused("logprobs", 6);
  expectRefused("logprobs", true);
}

}  // namespace
}  // namespace spolia::engine
