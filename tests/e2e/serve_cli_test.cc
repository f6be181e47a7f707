// spolia-engine serve as hostile and careless clients see it: raw bytes on sockets, then the same
// server still answers.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "client/blocking_client.h"
#include "tests/e2e/server_process.h"
#include "tests/support/tcp_socket.h"

namespace spolia::test {
namespace {

using nlohmann::json;

struct Reply {
  int status = 0;
  std::string head;
  std::string body;
  json error() const { return json::parse(body, nullptr, false).value("error", json::object()); }
};

Reply parseReply(const std::string& text) {
  Reply out;
  const size_t end = text.find("\r\n\r\n");
  if (!text.starts_with("HTTP/1.1 ") || end == std::string::npos) return out;
  out.status = std::stoi(text.substr(9, 3));
  out.head = text.substr(0, end);
  out.body = text.substr(end + 4);
  return out;
}

std::string post(const std::string& body, const std::string& extra = {}) {
  return "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + extra +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

class ServeCli : public testing::Test {
 protected:
  static constexpr size_t kBodyLimit = 1 << 20;

  std::vector<std::string> ownStore() const {
    return {"--store", (directory_.path() / "store").string(), "--capacity", "1 GiB"};
  }
  void start(const std::vector<std::string>& flags = {}) { startOver(ownStore(), flags); }
  void startOver(const std::vector<std::string>& place,
                 const std::vector<std::string>& flags = {}) {
    writeText(directory_.path() / "engine.toml",
              "[serve]\nbody_limit = \"1 MiB\"\nconnections = 16\n");
    std::vector<std::string> command = {programPath("engine/spolia-engine"),
                                        "serve",
                                        "--listen",
                                        "127.0.0.1:0",
                                        "--config",
                                        (directory_.path() / "engine.toml").string(),
                                        "--model",
                                        model_};
    command.insert(command.end(), place.begin(), place.end());
    command.insert(command.end(), flags.begin(), flags.end());
    child_.emplace(command, directory_.path() / "out", directory_.path() / "err");
    const std::string said = child_->readUntil("ready");
    const size_t at = said.find("127.0.0.1:");
    ASSERT_NE(at, std::string::npos) << said << child_->errors();
    port_ = static_cast<uint16_t>(std::stoi(said.substr(at + 10)));
  }

  Reply exchange(const std::string& bytes) {
    TcpSocket socket(port_);
    socket.send(bytes);
    return parseReply(socket.readAll());
  }
  Reply get(const std::string& path) {
    return exchange("GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  }
  Reply chat(const json& body) { return exchange(post(body.dump())); }

  json question() const {
    return {{"model", "micro"},
            {"messages", json::array({{{"role", "user"}, {"content", "What does Helen enjoy?"}}})},
            {"documents", json::array({{{"text", helen_}}})}};
  }
  void ingestDemo(const std::vector<std::string>& place) {
    std::vector<std::string> command = {programPath("engine/spolia-engine"), "ingest",
                                        source_ + "/conf/demo", "--model", model_};
    command.insert(command.end(), place.begin(), place.end());
    const Outcome outcome = runCommand(command);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
  }
  void expectAnswers() {
    const Reply reply = chat(question());
    ASSERT_EQ(reply.status, 200) << reply.body;
    EXPECT_EQ(json::parse(reply.body)["choices"][0]["message"]["content"], "sailing");
  }
  // Of a line "NAME VALUE" of /metrics.
  double metric(const std::string& name) {
    const Reply reply = get("/metrics");
    const size_t at = reply.body.find("\n" + name + " ");
    EXPECT_NE(at, std::string::npos) << name << " is not in\n" << reply.body;
    return at == std::string::npos ? -1 : std::stod(reply.body.substr(at + name.size() + 2));
  }

  TemporaryDirectory directory_;
  const std::string source_ = SPOLIA_SOURCE_DIR;
  const std::string model_ = source_ + "/engine/models/micro";
  const std::string helen_ = readText(source_ + "/conf/demo/helen-goes-sailing.txt");
  std::optional<Child> child_;
  uint16_t port_ = 0;
};

TEST_F(ServeCli, TextOfADocumentIsCachedTheSecondTime) {
  start();
  expectAnswers();
  const json reply = json::parse(chat(question()).body);
  EXPECT_GT(reply["usage"]["prompt_tokens_details"]["cached_tokens"], 0) << reply;
  EXPECT_EQ(reply["cache"]["provenance"][0]["outcome"], "loaded") << reply;
  child_->signal(SIGTERM);
  EXPECT_EQ(child_->end(), 0) << child_->errors();
}

TEST_F(ServeCli, TopDocumentsAreChosenByTheQuestion) {
  ingestDemo(ownStore());
  start();
  json request = question();
  request.erase("documents");
  request["top_documents"] = 2;
  const json reply = json::parse(chat(request).body);
  EXPECT_EQ(reply["choices"][0]["message"]["content"], "sailing") << reply;
  const json& chosen = reply["cache"]["documents"];
  ASSERT_EQ(chosen.size(), 2u);
  EXPECT_TRUE(std::ranges::any_of(chosen, [](const json& name) {
    return name.get<std::string>().ends_with("helen-goes-sailing.txt");
  })) << chosen;
  EXPECT_GT(reply["usage"]["prompt_tokens_details"]["cached_tokens"], 0);
  for (const json& wrong : {json(-1), json("all"), json(1.5), json(1e300)}) {
    request["top_documents"] = wrong;
    const Reply refused = chat(request);
    EXPECT_EQ(refused.status, 400) << wrong;
    EXPECT_EQ(refused.error()["param"], "top_documents") << refused.body;
  }
}

// Chunks come from a spoliad; when it is killed they are misses, and answers go on.
TEST_F(ServeCli, AnswersOverAServerAndWithoutIt) {
  ServerProcess server(directory_.path());
  ASSERT_TRUE(server.ready()) << server.errors();
  const std::vector<std::string> place = {"--cache", server.tcp()};
  ingestDemo(place);
  startOver(place);
  json request = question();
  request["documents"] = json::array({source_ + "/conf/demo/helen-goes-sailing.txt"});
  const json cached = json::parse(chat(request).body);
  EXPECT_EQ(cached["choices"][0]["message"]["content"], "sailing") << cached;
  EXPECT_EQ(cached["cache"]["chunks_hit"], cached["cache"]["chunks"]);
  EXPECT_GT(cached["usage"]["prompt_tokens_details"]["cached_tokens"], 0);
  server.stop(SIGKILL);
  const Reply named = chat(request);
  EXPECT_EQ(named.status, 503) << "its manifest cannot be read: " << named.body;
  request["documents"] = json::array();
  EXPECT_EQ(chat(request).status, 200);
  EXPECT_EQ(get("/health").status, 200);
}

// A server keeps what is stored under a salt apart, for every engine that has the salt.
TEST_F(ServeCli, SaltsAreKeptApartByAServer) {
  ServerProcess server(directory_.path());
  ASSERT_TRUE(server.ready()) << server.errors();
  auto client = client::BlockingClient::start(server.config());
  ASSERT_TRUE(client.ok());
  const std::vector<std::string> place = {"--cache", server.tcp()};
  startOver(place);
  // Entries that the request added to the server.
  const auto added = [&](const char* salt) {
    const uint64_t before = (*client)->stats()->entries;
    json request = question();
    if (*salt != 0) request["cache_salt"] = salt;
    const Reply reply = chat(request);
    EXPECT_EQ(reply.status, 200u) << reply.body;
    const json answer = json::parse(reply.body);
    EXPECT_EQ(answer["choices"][0]["message"]["content"], "sailing") << answer;
    EXPECT_GT(answer["usage"]["prompt_tokens_details"]["cached_tokens"], 0) << answer;
    return (*client)->stats()->entries - before;
  };
  EXPECT_GT(added("a"), 0u);
  EXPECT_EQ(added("a"), 0u);
  EXPECT_GT(added("b"), 0u);
  EXPECT_GT(added(""), 0u);
  child_->signal(SIGTERM);
  EXPECT_EQ(child_->end(), 0) << child_->errors();
  startOver(place);
  for (const char* salt : {"a", "b", ""}) EXPECT_EQ(added(salt), 0u) << salt;
}

TEST_F(ServeCli, OversizedBodiesAreRefused) {
  start();
  const Reply told = exchange(
      "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n{");
  EXPECT_EQ(told.status, 413);
  EXPECT_NE(told.error().value("message", "").find(std::to_string(kBodyLimit)), std::string::npos)
      << told.body;
  std::string chunked =
      "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string piece = "10000\r\n" + std::string(0x10000, ' ') + "\r\n";
  for (size_t sent = 0; sent <= 2 * kBodyLimit; sent += 0x10000) chunked += piece;
  EXPECT_EQ(exchange(chunked + "0\r\n\r\n").status, 413);
  EXPECT_EQ(exchange("GET /health HTTP/1.1\r\nX: " + std::string(1 << 20, 'x') + "\r\n\r\n").status,
            431);
  expectAnswers();
}

TEST_F(ServeCli, BodiesThatAreNoRequestAreRefused) {
  start();
  const std::string deep(100'000, '[');
  for (const std::string& body :
       {deep, deep + std::string(100'000, ']'), std::string("{\"a\":") + deep, std::string("{"),
        std::string(), std::string("\"\xff\xfe\""), std::string("[1]"),
        std::string("{\"model\": 1e999}")}) {
    const Reply reply = exchange(post(body));
    EXPECT_EQ(reply.status, 400) << body.substr(0, 40);
    EXPECT_EQ(reply.error().value("type", ""), "invalid_request_error") << reply.body;
  }
  EXPECT_EQ(exchange("nonsense\r\n\r\n").status, 400);
  expectAnswers();
}

TEST_F(ServeCli, WhatIsNotThereIsToldSo) {
  start();
  EXPECT_EQ(get("/v1/nothing").status, 404);
  const Reply method = get("/v1/chat/completions");
  EXPECT_EQ(method.status, 405);
  EXPECT_NE(method.head.find("Allow: POST"), std::string::npos) << method.head;
  json request = question();
  request["documents"] = json::array({"no-such.txt"});
  const Reply document = chat(request);
  EXPECT_EQ(document.status, 404);
  EXPECT_EQ(document.error()["param"], "documents[0]");
  request = question();
  request["unknown_field"] = {{"a", 1}};
  EXPECT_EQ(chat(request).status, 200);
  EXPECT_EQ(get("/health").status, 200);
}

// Clients that leave after the first event, or in mid-request, leave no place of the queue behind.
// The demo's answers are short, so that an answer may be complete before its client has left.
TEST_F(ServeCli, LeavingLeavesNoPlaceOfTheQueueTaken) {
  start({"--queue", "1"});
  json request = question();
  request["stream"] = true;
  for (int i = 0; i < 8; ++i) {
    TcpSocket socket(port_);
    ASSERT_TRUE(socket.send(post(request.dump())));
    ASSERT_NE(socket.readUntil("data: ").find("200 OK"), std::string::npos);
  }
  // Half a request, and nothing at all, hold up nobody.
  TcpSocket half(port_), silent(port_);
  ASSERT_TRUE(half.send("POST /v1/chat/completions HTTP/1.1\r\nHo"));
  for (int i = 0; i < 4; ++i) expectAnswers();
  // A place is free a moment after the reply was sent.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  double taken = metric("spolia_engine_queue_length");
  while (taken > 0 && std::chrono::steady_clock::now() < deadline) {
    taken = metric("spolia_engine_queue_length");
  }
  EXPECT_EQ(taken, 0);
}

TEST_F(ServeCli, ConnectionsBeyondTheLimitGet503) {
  start();
  std::vector<std::unique_ptr<TcpSocket>> held;
  for (int i = 0; i < 16; ++i) held.push_back(std::make_unique<TcpSocket>(port_));
  const Reply reply = get("/health");
  EXPECT_EQ(reply.status, 503);
  EXPECT_EQ(reply.error().value("type", ""), "server_error") << reply.body;
}

TEST_F(ServeCli, TwoRequestsOnOneConnection) {
  start();
  TcpSocket socket(port_);
  const std::string ask = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n";
  ASSERT_TRUE(socket.send(ask + ask + "GET /v1/models HTTP/1.0\r\n\r\n"));
  const std::string all = socket.readAll();
  EXPECT_NE(all.find("\"list\""), std::string::npos) << all;
  EXPECT_EQ(std::count(all.begin(), all.end(), '\n'), std::count(all.begin(), all.end(), '\r'));
}

}  // namespace
}  // namespace spolia::test
