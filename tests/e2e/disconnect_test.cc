// Clients that go away in the middle of what they asked for, again and again: the server goes on,
// and what it held for them is free again. Were it not, the bytes that it lets be in flight (1 GiB)
// would be used up many times over.
//
// SPOLIA_DISCONNECTS=n: so many times.
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "client/blocking_client.h"
#include "tests/e2e/server_process.h"
#include "tests/support/asked_number.h"

namespace spolia::test {
namespace {

constexpr uint32_t kValues = 6;
constexpr size_t kBytes = 9 << 20;

class Disconnects : public testing::Test {
 protected:
  Disconnects() : server_(directory_.path()) {}
  void SetUp() override {
    ASSERT_TRUE(server_.ready()) << server_.errors();
    auto client = connect(server_.tcp());
    for (uint32_t seed = 0; seed < kValues; ++seed) {
      client::ValueToPut put;
      put.id = idOf(seed);
      put.bytes = AlignedBuffer(kBytes);
      std::ranges::fill(put.bytes.span(), static_cast<std::byte>(seed + 1));
      client->submitPutValue(std::move(put), seed, queue_);
      const auto done = queue_.waitPop();
      ASSERT_TRUE(done.status.ok()) << done.status.toString();
    }
  }
  static ChunkId idOf(uint32_t seed) { return {sha256(asBytes(std::to_string(seed)))}; }
  static std::unique_ptr<client::QueuedClient> connect(const std::string& address) {
    client::ClientConfig config;
    config.address = address;
    auto client = client::QueuedClient::start(config);
    EXPECT_TRUE(client.ok());
    return std::move(*client);
  }
  void askForAll(client::QueuedClient& client) {
    for (uint32_t seed = 0; seed < kValues; ++seed) client.submitGetValue(idOf(seed), seed, queue_);
  }

  TemporaryDirectory directory_;
  ServerProcess server_;
  codec::ChunkQueue queue_;
};

TEST_F(Disconnects, LeaveNothingBehind) {
  const uint64_t times = test::askedNumber("SPOLIA_DISCONNECTS", 200);
  std::mt19937_64 random(9);
  for (uint64_t i = 0; i < times; ++i) {
    auto client = connect(random() % 2 == 0 ? server_.tcp() : server_.unixAddress());
    askForAll(*client);
    size_t owed = kValues;
    // Connected, and some of it read: the first answer is there, or the connection is.
    if (random() % 2 == 0) {
      EXPECT_TRUE(queue_.waitPop().status.ok());
      --owed;
    } else {
      EXPECT_TRUE(client->stats().ok());
    }
    client.reset();
    EXPECT_EQ(queue_.drain().size(), owed);
  }
  auto client = connect(server_.tcp());
  askForAll(*client);
  for (uint32_t n = 0; n < kValues; ++n) {
    const auto done = queue_.waitPop();
    ASSERT_TRUE(done.status.ok()) << done.status.toString();
    ASSERT_EQ(done.bytes.size(), kBytes);
    EXPECT_EQ(done.bytes.span().back(), static_cast<std::byte>(done.cookie + 1));
  }
  client.reset();
  EXPECT_EQ(server_.stop(), 0) << server_.errors();
}

}  // namespace
}  // namespace spolia::test
