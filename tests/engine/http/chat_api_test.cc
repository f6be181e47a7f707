#include "engine/http/chat_api.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/engine/linker/fake_kv_source.h"
#include "tests/support/tiny_model.h"

namespace spolia::engine {
namespace {

using nlohmann::json;

// Keeps the one answer that it is sent at once.
class OneReply : public ReplyChannel {
 public:
  void send(HttpResponse response) override { sent = std::move(response); }
  void begin(std::string_view) override {}
  void write(std::string) override {}
  void end() override {}
  bool gone() const override { return false; }

  HttpResponse sent{0, {}, {}, 0, {}, {}};
};

class ChatApiTest : public ::testing::Test {
 protected:
  ChatApiTest() {
    ChatService::Config config;
    config.modelName = "tiny";
    service_.emplace(*model_, transformer_, pool_, source_, metrics_, config);
    tokens_.emplace(*model_, "tiny", metrics_);
  }
  HttpResponse ask(const std::string& method, const std::string& path,
                   const std::string& authorization, const std::string& body = "") {
    ChatApi::Config config{"tiny", 0, "0", {}, *ApiKeys::parse("ann:0123456789abcdef\n", "keys")};
    ChatApi api(*service_, *tokens_, metrics_, std::move(config));
    const auto channel = std::make_shared<OneReply>();
    api.handle({method, path, authorization, body}, channel);
    return channel->sent;
  }

  std::unique_ptr<Model> model_ = test::makeTinyModel(test::tinyConfig(), 1, test::byteTokenizer());
  ThreadPool pool_{1};
  Transformer transformer_{*model_, pool_};
  FakeKvSource source_{1};
  ApiMetrics metrics_;
  std::optional<ChatService> service_;
  std::optional<TokenService> tokens_;
};

TEST_F(ChatApiTest, WithoutAKeyOnlyHealthIsTold) {
  for (const char* path : {"/v1/models", "/v1/models/tiny", "/metrics", "/version", "/nowhere"}) {
    const HttpResponse response = ask("GET", path, "");
    EXPECT_EQ(response.status, 401u) << path;
    EXPECT_EQ(response.authenticate, "Bearer");
    const json error = json::parse(response.body)["error"];
    EXPECT_EQ(error["code"], "invalid_api_key");
    EXPECT_EQ(error["type"], "invalid_request_error");
  }
  for (const char* path : {"/v1/chat/completions", "/tokenize", "/detokenize"}) {
    EXPECT_EQ(ask("POST", path, "Bearer fedcba9876543210", "{}").status, 401u) << path;
  }
  EXPECT_EQ(ask("GET", "/health", "").status, 200u);
}

TEST_F(ChatApiTest, WithAKeyEverythingIsThere) {
  const std::string key = "Bearer 0123456789abcdef";
  EXPECT_EQ(ask("GET", "/v1/models", key).status, 200u);
  EXPECT_EQ(ask("GET", "/nowhere", key).status, 404u);
  EXPECT_EQ(ask("POST", "/v1/chat/completions", key, "{}").status, 400u);
}

}  // namespace
}  // namespace spolia::engine
