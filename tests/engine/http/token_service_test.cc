#include "engine/http/token_service.h"

#include <gtest/gtest.h>

#include <future>
#include <nlohmann/json.hpp>

#include "tests/support/tiny_model.h"

namespace spolia::engine {
namespace {

using nlohmann::json;

// Takes one whole response.
class OneResponse : public ReplyChannel {
 public:
  void send(HttpResponse response) override { promise_.set_value(std::move(response)); }
  void begin(std::string_view) override { ADD_FAILURE(); }
  void write(std::string) override { ADD_FAILURE(); }
  void end() override { ADD_FAILURE(); }
  bool gone() const override { return false; }

  HttpResponse response() { return promise_.get_future().get(); }

 private:
  std::promise<HttpResponse> promise_;
};

class TokenServiceTest : public ::testing::Test {
 protected:
  HttpResponse ask(const std::string& route, const std::string& body) {
    const auto channel = std::make_shared<OneResponse>();
    service_.submit(route, body, channel);
    return channel->response();
  }
  json answer(const char* route, const json& body) {
    const HttpResponse response = ask(route, body.dump());
    EXPECT_EQ(response.status, 200u) << response.body;
    return json::parse(response.body);
  }
  json error(const char* route, const std::string& body, unsigned status) {
    const HttpResponse response = ask(route, body);
    EXPECT_EQ(response.status, status) << response.body;
    return json::parse(response.body)["error"];
  }

  static constexpr const char* kThere = TokenService::kTokenize;
  static constexpr const char* kBack = TokenService::kDetokenize;

  std::unique_ptr<Model> model_ = test::makeTinyModel(test::tinyConfig(), 1, test::byteTokenizer());
  ApiMetrics metrics_;
  TokenService service_{*model_, "tiny", metrics_};
};

TEST_F(TokenServiceTest, TokensAreThoseOfThePromptAndGoBack) {
  const json plain = answer(kThere, {{"prompt", "Hi you"}, {"add_special_tokens", false}});
  EXPECT_EQ(plain["tokens"], json::array({'H', 'i', ' ', 'y', 'o', 'u'}));
  EXPECT_EQ(plain["count"], 6);
  EXPECT_EQ(plain["max_model_len"], model_->config().maxPositions);
  const json whole = answer(kThere, {{"prompt", "Hi you"}, {"model", "tiny"}});
  EXPECT_EQ(whole["count"], 7) << "BOS in front, as of every prompt";
  EXPECT_EQ(whole["tokens"][0], model_->config().bosToken);
  EXPECT_EQ(answer(kBack, {{"tokens", plain["tokens"]}})["prompt"], "Hi you");
  EXPECT_EQ(answer(kBack, {{"tokens", json::array()}})["prompt"], "");
}

TEST_F(TokenServiceTest, WhatIsWrongIsNamed) {
  EXPECT_EQ(error(kThere, "{}", 400)["param"], "prompt");
  EXPECT_EQ(error(kThere, R"({"prompt": 3})", 400)["param"], "prompt");
  EXPECT_EQ(error(kThere, R"({"prompt": "a", "add_special_tokens": 1})", 400)["param"],
            "add_special_tokens");
  EXPECT_EQ(error(kBack, "{}", 400)["param"], "tokens");
  EXPECT_EQ(error(kBack, R"({"tokens": [1, -1]})", 400)["param"], "tokens[1]");
  EXPECT_EQ(error(kBack, R"({"tokens": [1, 2, 256]})", 400)["param"], "tokens[2]");
  EXPECT_EQ(error(kBack, R"({"tokens": "1"})", 400)["param"], "tokens");
  EXPECT_EQ(error(kThere, "[", 400)["code"], "invalid_json");
  EXPECT_EQ(error(kThere, R"({"prompt": "a", "model": "other"})", 404)["code"], "model_not_found");
}

}  // namespace
}  // namespace spolia::engine
