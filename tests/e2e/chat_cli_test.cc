// spolia-engine chat and the keys of spolia-engine serve, as people use them.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/e2e/server_process.h"
#include "tests/support/tcp_socket.h"

namespace spolia::test {
namespace {

class ChatCli : public testing::Test {
 protected:
  // The outcome of `words` with `input` on stdin.
  Outcome run(const std::string& words, const std::string& input = "") {
    writeText(directory_.path() / "input", input);
    const std::string store = (directory_.path() / "store").string();
    return runCommand({"/bin/sh", "-c",
                       "exec " + programPath("engine/spolia-engine") + " " + words + " --model " +
                           source_ + "/engine/models/micro --store " + store +
                           " --capacity '1 GiB'" + " < " + (directory_.path() / "input").string()});
  }

  TemporaryDirectory directory_;
  const std::string source_ = SPOLIA_SOURCE_DIR;
};

TEST_F(ChatCli, AnswersLinesFromAPipe) {
  ASSERT_EQ(run("ingest " + source_ + "/conf/demo").code, 0);
  const Outcome outcome = run("chat --docs '*helen*'",
                              "What does Helen enjoy?\n"
                              "\n"
                              "/docs nobody*\n"
                              "/frobnicate\n"
                              "/reset\n"
                              "What does Helen enjoy?\n"
                              "/docs\n"
                              "/quit\n"
                              "What does Helen enjoy?\n");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "sailing\nsailing\n") << outcome.err;
  EXPECT_NE(outcome.err.find(" rows cached]\n"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("no document matches, "), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("there is no command /frobnicate"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("no documents\n"), std::string::npos) << outcome.err;
}

TEST_F(ChatCli, TellsOfALongConversationAndGoesOn) {
  const Outcome outcome = run("chat --max-tokens 4", std::string(20'000, 'x') + "\nHello?\n");
  EXPECT_EQ(outcome.code, 0);
  EXPECT_NE(outcome.err.find("/reset forgets the conversation"), std::string::npos) << outcome.err;
  EXPECT_EQ(std::count(outcome.out.begin(), outcome.out.end(), '\n'), 1) << outcome.out;
}

TEST_F(ChatCli, ATemplateIsTakenOrRefusedWithItsPlace) {
  writeText(directory_.path() / "good.jinja",
            "{% for m in messages %}Question: {{ m.content }}\nAnswer:{% endfor %}");
  writeText(directory_.path() / "bad.jinja", "\n{% if %}");
  ASSERT_EQ(run("ingest " + source_ + "/conf/demo").code, 0);
  const std::string good = (directory_.path() / "good.jinja").string();
  const Outcome outcome =
      run("chat --max-tokens 3 --chat-template " + good, "What does Helen enjoy?\n");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  const std::string bad = (directory_.path() / "bad.jinja").string();
  const Outcome refused = run("chat --chat-template " + bad);
  EXPECT_EQ(refused.code, 2);
  EXPECT_NE(refused.err.find(bad + ": line 2, column 7: expected an expression"), std::string::npos)
      << refused.err;
}

TEST_F(ChatCli, AnAddressThatOthersReachNeedsKeys) {
  const Outcome open = run("serve --listen 0.0.0.0:0");
  EXPECT_EQ(open.code, 2);
  EXPECT_NE(open.err.find("expected --api-keys FILE, or --no-auth"), std::string::npos) << open.err;
  writeText(directory_.path() / "keys", "ann:0123456789abcdef\nbob:short\n");
  const std::string keys = (directory_.path() / "keys").string();
  const Outcome bad = run("serve --listen 0.0.0.0:0 --api-keys " + keys);
  EXPECT_EQ(bad.code, 2);
  EXPECT_NE(bad.err.find(keys + ":2: expected a key"), std::string::npos) << bad.err;
  EXPECT_EQ(bad.err.find("0123456789abcdef"), std::string::npos) << "tells a key";
}

TEST_F(ChatCli, KeysAreAskedForAndNamedInTheLog) {
  writeText(directory_.path() / "keys", "ann:0123456789abcdef\n");
  Child server({programPath("engine/spolia-engine"), "serve", "--listen", "127.0.0.1:0", "--model",
                source_ + "/engine/models/micro", "--store", (directory_.path() / "store").string(),
                "--capacity", "1 GiB", "--api-keys", (directory_.path() / "keys").string()},
               directory_.path() / "out", directory_.path() / "err");
  const std::string said = server.readUntil("ready");
  const size_t at = said.find("127.0.0.1:");
  ASSERT_NE(at, std::string::npos) << said << server.errors();
  const auto port = static_cast<uint16_t>(std::stoi(said.substr(at + 10)));
  const auto get = [&](const std::string& path, const std::string& header) {
    TcpSocket socket(port);
    socket.send("GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + header + "\r\n");
    return socket.readAll();
  };
  const std::string refused = get("/v1/models", "");
  EXPECT_TRUE(refused.starts_with("HTTP/1.1 401 ")) << refused;
  EXPECT_NE(refused.find("WWW-Authenticate: Bearer\r\n"), std::string::npos) << refused;
  EXPECT_NE(refused.find("\"code\":\"invalid_api_key\""), std::string::npos) << refused;
  const std::string wrong = get("/v1/models", "authorization: Bearer 0123456789abcdeX\r\n");
  EXPECT_TRUE(wrong.starts_with("HTTP/1.1 401 ")) << wrong;
  const std::string right = get("/v1/models", "Authorization: Bearer 0123456789abcdef\r\n");
  EXPECT_TRUE(right.starts_with("HTTP/1.1 200 ")) << right;
  EXPECT_TRUE(get("/health", "").starts_with("HTTP/1.1 200 "));
  server.signal(SIGTERM);
  EXPECT_EQ(server.end(), 0);
  const std::string log = server.errors();
  EXPECT_NE(log.find("key ann"), std::string::npos) << log;
  EXPECT_EQ(log.find("0123456789abcde"), std::string::npos) << "tells a key";
}

}  // namespace
}  // namespace spolia::test
