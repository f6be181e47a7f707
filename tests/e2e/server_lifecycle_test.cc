// Starting, stopping and killing a real spoliad.
#include <gtest/gtest.h>

#include "client/blocking_client.h"
#include "client/queued_client.h"
#include "tests/e2e/sample_stream.h"
#include "tests/e2e/server_process.h"

namespace spolia::test {
namespace {

Outcome spoliad(std::vector<std::string> words) {
  words.insert(words.begin(), spoliadProgram());
  return runCommand(words);
}

void expectThere(const ServerProcess& server, const SampleStream& stream) {
  auto client = client::BlockingClient::start(server.config());
  ASSERT_TRUE(client.ok());
  const auto back = (*client)->getValue(stream.id);
  ASSERT_TRUE(back.status.ok()) << back.status.toString();
  EXPECT_EQ(toBytes(back.bytes.span()), stream.bytes);
}

TEST(ServerLifecycle, DataSurvivesRestartAndKill) {
  TemporaryDirectory directory;
  const auto stream = sampleStream(1, 300, {});
  for (int signal : {SIGTERM, SIGKILL, SIGTERM}) {
    ServerProcess server(directory.path());
    ASSERT_TRUE(server.ready()) << server.errors();
    auto client = client::BlockingClient::start(server.config());
    ASSERT_TRUE(client.ok());
    const auto put = (*client)->store(stream.buffer(), codec::PutMode::kIfAbsent);
    ASSERT_TRUE(put.status.ok()) << put.status.toString();
    expectThere(server, stream);
    EXPECT_EQ(server.stop(signal), signal == SIGTERM ? 0 : 128 + SIGKILL) << server.errors();
  }
}

TEST(ServerLifecycle, ClientFollowsARestartedServer) {
  TemporaryDirectory directory;
  auto server = std::make_unique<ServerProcess>(directory.path());
  ASSERT_TRUE(server->ready()) << server->errors();
  client::ClientConfig config;
  config.address = server->unixAddress();
  auto client = client::BlockingClient::start(config);
  const auto before = (*client)->ping();
  ASSERT_TRUE(before.ok()) << before.status().toString();
  server->stop(SIGKILL);
  server = std::make_unique<ServerProcess>(directory.path());  // over the stale socket
  ASSERT_TRUE(server->ready()) << server->errors();
  const auto after = (*client)->ping();
  ASSERT_TRUE(after.ok()) << after.status().toString();
  EXPECT_NE(before->epoch, after->epoch);
}

TEST(ServerLifecycle, CleanEndRemovesTheSocketAndItsModeIsPrivate) {
  TemporaryDirectory directory;
  ServerProcess server(directory.path());
  ASSERT_TRUE(server.ready()) << server.errors();
  EXPECT_EQ(std::filesystem::status(server.socket()).permissions(), std::filesystem::perms(0600));
  EXPECT_EQ(std::filesystem::status(directory.path() / "store/namespace.secret").permissions(),
            std::filesystem::perms(0600));
  EXPECT_EQ(server.stop(SIGINT), 0);
  EXPECT_FALSE(std::filesystem::exists(server.socket()));
}

TEST(ServerLifecycle, SecondServerIsToldWhoHoldsTheStore) {
  TemporaryDirectory directory;
  ServerProcess server(directory.path());
  ASSERT_TRUE(server.ready()) << server.errors();
  const auto second = spoliad({"--config", (directory.path() / "server.toml").string(), "--store",
                               (directory.path() / "store").string(), "--listen", "127.0.0.1:0"});
  EXPECT_EQ(second.code, 1);
  EXPECT_NE(second.err.find((directory.path() / "store").string()), std::string::npos)
      << second.err;
  auto client = client::BlockingClient::start(server.config());
  EXPECT_TRUE((*client)->ping().ok());
}

TEST(ServerLifecycle, LiveSocketOfAnotherServerIsLeftAlone) {
  TemporaryDirectory one, two;
  ServerProcess server(one.path());
  ASSERT_TRUE(server.ready()) << server.errors();
  const auto second = spoliad({"--store", (two.path() / "store").string(), "--capacity", "1 GiB",
                               "--listen", "", "--unix", server.socket().string()});
  EXPECT_EQ(second.code, 1);
  EXPECT_NE(second.err.find("another server listens"), std::string::npos) << second.err;
  client::ClientConfig config;
  config.address = server.unixAddress();
  EXPECT_TRUE((*client::BlockingClient::start(config))->ping().ok());
}

TEST(ServerLifecycle, BadConfigurationNamesFileLineAndKey) {
  TemporaryDirectory directory;
  const auto config = directory.path() / "c.toml";
  const std::string store = (directory.path() / "store").string();
  const auto check = [&](const std::string& text) {
    writeText(config, text);
    return spoliad({"--config", config.string(), "--store", store});
  };
  const auto typo = check("[store]\n\ncapcity = \"1 GiB\"\n");
  EXPECT_EQ(typo.code, 2);
  EXPECT_NE(typo.err.find("c.toml:3: unknown key store.capcity; did you mean store.capacity?"),
            std::string::npos)
      << typo.err;
  const auto open = check("[listen]\ntcp = \"0.0.0.0:0\"\n");
  EXPECT_EQ(open.code, 2);
  EXPECT_NE(open.err.find("auth.token_file"), std::string::npos) << open.err;
  EXPECT_FALSE(std::filesystem::exists(store));
  EXPECT_EQ(spoliad({"--config", "/nowhere.toml"}).code, 2);
  EXPECT_EQ(spoliad({"--stroe", "x"}).code, 2);
  EXPECT_EQ(spoliad({"--version"}).out, "spoliad 0.1.0\n");
  EXPECT_EQ(spoliad({"--config", SPOLIA_SOURCE_DIR "/conf/server.toml", "--check"}).code, 0);
}

TEST(ServerLifecycle, CallsUnderWayAreAnsweredBeforeTheEnd) {
  TemporaryDirectory directory;
  ServerProcess server(directory.path());
  ASSERT_TRUE(server.ready()) << server.errors();
  auto client = client::QueuedClient::start(server.config());
  codec::ChunkQueue queue;
  constexpr uint64_t kPuts = 16;
  for (uint64_t i = 0; i < kPuts; ++i) {
    const auto stream = sampleStream(static_cast<uint32_t>(i + 1), 100, {});
    (*client)->submitStore(stream.buffer(), codec::PutMode::kIfAbsent, i, queue);
  }
  auto first = queue.waitPop();
  EXPECT_TRUE(first.status.ok()) << first.status.toString();
  EXPECT_EQ(server.stop(SIGTERM), 0) << server.errors();
  // The rest were stored or refused, each answered once.
  for (uint64_t i = 1; i < kPuts; ++i) {
    const auto done = queue.waitPop();
    EXPECT_TRUE(done.status.ok() || done.status.code() == ErrorCode::kUnavailable)
        << done.status.toString();
  }
}

}  // namespace
}  // namespace spolia::test
