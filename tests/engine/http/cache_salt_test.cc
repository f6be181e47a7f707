// Requests with a cache salt over a store on disk, before and after a restart.
#include <gtest/gtest.h>

#include <future>
#include <nlohmann/json.hpp>

#include "engine/http/chat_service.h"
#include "engine/linker/embedded_kv_source.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/tiny_model.h"

namespace spolia::engine {
namespace {

using nlohmann::json;

class OneAnswer : public ReplyChannel {
 public:
  void send(HttpResponse response) override { sent_.set_value(std::move(response)); }
  void begin(std::string_view) override {}
  void write(std::string) override {}
  void end() override {}
  bool gone() const override { return false; }
  HttpResponse wait() { return sent_.get_future().get(); }

 private:
  std::promise<HttpResponse> sent_;
};

class CacheSaltTest : public ::testing::Test {
 protected:
  CacheSaltTest() { open(true); }

  // A store of 1 GiB, opened again.
  void open(bool salts) {
    service_.reset();
    source_.reset();
    EmbeddedStoreConfig store;
    store.directory = directory_.path() / "store";
    store.capacityBytes = 1ull << 30;
    auto source = openEmbeddedKvSource(store);
    SPOLIA_CHECK(source.ok());
    source_ = *std::move(source);
    ChatService::Config config;
    config.modelName = "tiny";
    config.prompts.questionTemplate = "Q: {question} A:";
    if (salts)
      config.saltedSource = [this](const std::string& salt) { return source_->salted(salt); };
    service_.emplace(*model_, transformer_, pool_, *source_, metrics_, config);
  }
  HttpResponse ask(ChatRequest request) {
    request.model = "tiny";
    request.messages = {{"user", "Why?"}};
    request.maxTokens = 1;
    const auto channel = std::make_shared<OneAnswer>();
    service_->submit(std::move(request), channel);
    return channel->wait();
  }
  // Whether the text's chunk was there before this request: then putting it computes nothing.
  bool known(const std::string& salt, const std::string& key = "",
             const std::string& text = "A text of a document. ") {
    const uint64_t before = source_->stats()->entries;
    ChatRequest request;
    request.cacheSalt = salt;
    request.keyName = key;
    request.documents = {{"", text}};
    const HttpResponse response = ask(request);
    EXPECT_EQ(response.status, 200u) << response.body;
    EXPECT_EQ(json::parse(response.body)["cache"]["provenance"][0]["outcome"], "loaded");
    return source_->stats()->entries == before;
  }

  const ::spolia::test::TemporaryDirectory directory_;
  std::unique_ptr<Model> model_ =
      engine::test::makeTinyModel(engine::test::tinyConfig(), 1, engine::test::byteTokenizer());
  ThreadPool pool_{1};
  Transformer transformer_{*model_, pool_};
  ApiMetrics metrics_;
  std::unique_ptr<SaltableKvSource> source_;
  std::optional<ChatService> service_;
};

TEST_F(CacheSaltTest, WhatIsStoredIsFoundUnderTheSameSaltOnly) {
  EXPECT_FALSE(known("a"));
  EXPECT_TRUE(known("a"));
  EXPECT_FALSE(known("b"));
  EXPECT_FALSE(known(""));
  EXPECT_FALSE(known("a", "ann")) << "another key's salt of the same name";
  for (const char* salt : {"a", "b", ""}) EXPECT_TRUE(known(salt)) << salt;
  open(true);
  for (const char* salt : {"a", "b", ""}) EXPECT_TRUE(known(salt)) << salt;
  EXPECT_TRUE(known("a", "ann"));
  EXPECT_FALSE(known("c"));
}

TEST_F(CacheSaltTest, ManySaltsAreKeptApart) {
  for (int i = 0; i < 70; ++i) EXPECT_FALSE(known(std::to_string(i))) << i;
  for (int i = 0; i < 70; ++i) EXPECT_TRUE(known(std::to_string(i))) << i;
}

TEST_F(CacheSaltTest, DocumentsIngestedForAllAreReadUnderAnySalt) {
  ASSERT_TRUE(DocumentLibrary(*model_, transformer_, *source_, {}).put("d.txt", "Of all.").ok());
  ChatRequest request;
  request.cacheSalt = "a";
  request.documents = {{"d.txt", std::nullopt}};
  const HttpResponse response = ask(request);
  ASSERT_EQ(response.status, 200u) << response.body;
  EXPECT_EQ(json::parse(response.body)["cache"]["provenance"][0]["outcome"], "loaded");
}

TEST_F(CacheSaltTest, WithoutSaltsInTheStoreTheyAreRefused) {
  open(false);
  ChatRequest request;
  request.cacheSalt = "a";
  const HttpResponse response = ask(request);
  EXPECT_EQ(response.status, 400u);
  EXPECT_EQ(json::parse(response.body)["error"]["param"], "cache_salt");
}

}  // namespace
}  // namespace spolia::engine
