#include "server/server_config.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

namespace spolia {
namespace {

std::string shippedFile() {
  std::ifstream in(SPOLIA_SOURCE_DIR "/conf/server.toml");
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

TEST(ServerConfig, TheShippedFileHoldsEveryKeyWithItsDefault) {
  const std::string text = shippedFile();
  const auto shipped = parseServerConfig(text, "server.toml");
  ASSERT_TRUE(shipped.ok()) << shipped.status().toString();
  for (const std::string& key : serverConfigKeys()) {
    const std::string name = key.substr(key.find('.') + 1);
    EXPECT_NE(text.find("\n" + name + " = "), std::string::npos) << key;
  }
  const ServerConfig defaults;
  EXPECT_EQ(shipped->store.capacityBytes, defaults.store.capacityBytes);
  EXPECT_EQ(shipped->store.segmentBytes, defaults.store.segmentBytes);
  EXPECT_EQ(shipped->store.queueDepth, defaults.store.queueDepth);
  EXPECT_EQ(shipped->store.ack, defaults.store.ack);
  EXPECT_EQ(shipped->store.io, defaults.store.io);
  EXPECT_EQ(shipped->memoryBytes, defaults.memoryBytes);
  EXPECT_EQ(shipped->lifetimes.defaultSeconds, defaults.lifetimes.defaultSeconds);
  EXPECT_EQ(shipped->lifetimes.maxSeconds, defaults.lifetimes.maxSeconds);
  EXPECT_EQ(shipped->store.leases.holderEntries, defaults.store.leases.holderEntries);
  EXPECT_EQ(shipped->store.leases.longestSeconds, defaults.store.leases.longestSeconds);
  EXPECT_EQ(shipped->listen.tcp, defaults.listen.tcp);
  EXPECT_EQ(shipped->listen.unixSocket, defaults.listen.unixSocket);
  EXPECT_EQ(shipped->listen.allowPlaintext, defaults.listen.allowPlaintext);
  EXPECT_EQ(shipped->tokenFile, defaults.tokenFile);
  EXPECT_EQ(shipped->limits.connections, defaults.limits.connections);
  EXPECT_EQ(shipped->limits.connectionBytes, defaults.limits.connectionBytes);
  EXPECT_EQ(shipped->limits.totalBytes, defaults.limits.totalBytes);
  EXPECT_EQ(shipped->limits.messageBytes, defaults.limits.messageBytes);
  EXPECT_EQ(shipped->limits.callsInFlight, defaults.limits.callsInFlight);
  EXPECT_EQ(shipped->limits.handshakeSeconds, defaults.limits.handshakeSeconds);
  EXPECT_EQ(shipped->limits.messageSeconds, defaults.limits.messageSeconds);
  EXPECT_EQ(shipped->limits.stallSeconds, defaults.limits.stallSeconds);
  EXPECT_EQ(shipped->limits.drainSeconds, defaults.limits.drainSeconds);
  EXPECT_EQ(shipped->logLevel, defaults.logLevel);
  EXPECT_TRUE(shipped->validate().ok()) << shipped->validate().toString();
}

void expectError(const std::string& text, const std::string& message) {
  const auto config = parseServerConfig(text, "f.toml");
  ASSERT_FALSE(config.ok()) << text;
  EXPECT_EQ(config.status().code(), ErrorCode::kInvalidArgument);
  EXPECT_NE(config.status().message().find(message), std::string::npos)
      << config.status().message();
}

TEST(ServerConfig, MistakesNameFileLineKeyAndWhatWasExpected) {
  expectError("[store]\ncapacty = 1\n",
              "f.toml:2: unknown key store.capacty; did you mean "
              "store.capacity?");
  expectError("[stor]\ncapacity = 1\n", "did you mean store.capacity?");
  expectError("\nlevel = \"info\"\n", "f.toml:2: unknown key level");
  expectError("[zzzzzzzz]\nqqqqqqqq = 1\n", "unknown key zzzzzzzz.qqqqqqqq");
  expectError("[store]\nqueue_depth = \"many\"\n",
              "f.toml:2: store.queue_depth: expected a whole number from 1 to 4096");
  expectError("[store]\nqueue_depth = 0\n", "from 1 to 4096");
  expectError("[store]\ncapacity = \"8 GB\"\n", "store.capacity: expected bytes");
  expectError("[store]\ncapacity = -1\n", "store.capacity: expected bytes");
  expectError("[store]\nack = \"maybe\"\n", "expected one of \"durable\" \"memory\"");
  expectError("[listen]\nallow_plaintext = 1\n", "expected true or false");
  expectError("[listen]\ntcp = 1\n", "listen.tcp: expected a string");
  expectError("[store\n", "f.toml:1:");
}

TEST(ServerConfig, AddressesOpenToOthersNeedTokensAndConsent) {
  ServerConfig config;
  config.store.directory = "/tmp/x";
  config.listen.tcp = "0.0.0.0:1";
  EXPECT_NE(config.validate().message().find("auth.token_file"), std::string::npos);
  config.tokenFile = "tokens";
  EXPECT_NE(config.validate().message().find("listen.allow_plaintext"), std::string::npos);
  config.listen.allowPlaintext = true;
  EXPECT_TRUE(config.validate().ok()) << config.validate().toString();
  config.listen.tcp = "";
  EXPECT_NE(config.validate().message().find("listen.unix"), std::string::npos);
  config.listen.unixSocket = "/tmp/s";
  EXPECT_TRUE(config.validate().ok());
  config.store.directory = "";
  EXPECT_NE(config.validate().message().find("store.directory"), std::string::npos);
}

TEST(ServerConfig, MemoryIsNoneOrEnoughToBeWorthIt) {
  auto config = parseServerConfig("[memory]\ncapacity = \"64 KiB\"\n", "f.toml");
  ASSERT_TRUE(config.ok()) << config.status().toString();
  config->store.directory = "/tmp/x";
  EXPECT_EQ(config->validate().code(), ErrorCode::kInvalidArgument);
  EXPECT_NE(config->validate().message().find("memory.capacity: 65536 bytes, expected 0"),
            std::string::npos)
      << config->validate().message();
  config = parseServerConfig("[memory]\ncapacity = 0\n", "f.toml");
  ASSERT_TRUE(config.ok());
  config->store.directory = "/tmp/x";
  EXPECT_TRUE(config->validate().ok());
}

TEST(ServerConfig, BytesAreReadAndWritten) {
  EXPECT_EQ(*parseBytes("4096"), 4096u);
  EXPECT_EQ(*parseBytes("8 GiB"), 8ull << 30);
  EXPECT_EQ(*parseBytes("1MiB"), 1u << 20);
  for (const char* text : {"", "GiB", "1 GB", "-1", "1.5 GiB", "99999999999 TiB", "1 GiB "}) {
    EXPECT_FALSE(parseBytes(text).ok()) << text;
  }
  EXPECT_EQ(formatBytes(0), "0 B");
  EXPECT_EQ(formatBytes(1536), "1.5 KiB");
  EXPECT_EQ(formatBytes(8ull << 30), "8.0 GiB");
}

TEST(ServerConfig, QuotasAreByTenant) {
  const auto config = parseServerConfig("[quotas]\nalice = \"2 GiB\"\nbob.b = 1048576\n", "f");
  ASSERT_FALSE(config.ok()) << "a dotted key is a table";
  const auto good = parseServerConfig("[quotas]\nalice = \"2 GiB\"\n\"bob.b\" = 1048576\n", "f");
  ASSERT_TRUE(good.ok()) << good.status().toString();
  ASSERT_EQ(good->quotas.size(), 2u);
  EXPECT_EQ(good->quotas[0].tenant, "alice");
  EXPECT_EQ(good->quotas[0].bytes, 2ull << 30);
  EXPECT_EQ(good->quotas[1].tenant, "bob.b");
}

TEST(ServerConfig, WrongQuotasAreNamed) {
  const auto messageOf = [](const std::string& line) {
    auto config = parseServerConfig("[quotas]\n" + line + "\n", "f");
    if (!config.ok()) return config.status().message();
    config->store.directory = "/somewhere";
    return config->validate().message();
  };
  const std::pair<const char*, const char*> wrong[] = {
      {"alice = \"much\"", "f:2: quotas.alice: expected bytes"},
      {"alice = -1", "quotas.alice: expected bytes"},
      {"\"a b\" = \"1 GiB\"", "quotas: expected a tenant's name"},
      {"alice = \"1 KiB\"", "quotas.alice: 1024 bytes, expected at least 1 MiB"},
      {"alice = \"1 TiB\"", "at most store.capacity"}};
  for (const auto& [line, expected] : wrong) {
    EXPECT_NE(messageOf(line).find(expected), std::string::npos) << line << ": " << messageOf(line);
  }
  EXPECT_EQ(messageOf("alice = \"1 GiB\""), "");
}

}  // namespace
}  // namespace spolia
