// Bytes that no client of ours sends: the server closes that connection and stays healthy.
#include <gtest/gtest.h>

#include <random>

#include "client/blocking_client.h"
#include "tests/e2e/sample_stream.h"
#include "tests/e2e/server_process.h"
#include "tests/support/tcp_socket.h"

namespace spolia::test {
namespace {

constexpr int kPatienceSeconds = 20;

class RawPeer : public TcpSocket {
 public:
  explicit RawPeer(uint16_t port) : TcpSocket(port, kPatienceSeconds) {}
  void sendWords(const std::vector<uint32_t>& words) {
    send({reinterpret_cast<const char*>(words.data()), words.size() * sizeof(uint32_t)});
  }
};

class FramingAttack : public testing::Test {
 protected:
  FramingAttack() : server_(directory_.path()) {}
  void SetUp() override { ASSERT_TRUE(server_.ready()) << server_.errors(); }
  void TearDown() override {
    auto client = client::BlockingClient::start(server_.config());
    const auto reply = (*client)->ping();
    EXPECT_TRUE(reply.ok()) << reply.status().toString() << server_.errors();
    EXPECT_EQ(server_.stop(), 0) << server_.errors();
  }

  TemporaryDirectory directory_;
  ServerProcess server_;
};

TEST_F(FramingAttack, SegmentCountThatWraps) {
  RawPeer peer(server_.port());
  peer.sendWords({0xffffffff, 0});
  EXPECT_TRUE(peer.closedByServer());
}

TEST_F(FramingAttack, TooManySegments) {
  RawPeer peer(server_.port());
  peer.sendWords({400, 1});
  EXPECT_TRUE(peer.closedByServer());
}

TEST_F(FramingAttack, HugeDeclaredMessages) {
  RawPeer peer(server_.port());
  peer.sendWords({0, 0xffffffff});
  EXPECT_TRUE(peer.closedByServer());
  RawPeer many(server_.port());
  many.sendWords({3, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0});
  EXPECT_TRUE(many.closedByServer());
}

TEST_F(FramingAttack, Garbage) {
  constexpr uint32_t kSeed = 20240917;
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  std::mt19937 random(kSeed);
  for (int round = 0; round < 50; ++round) {
    RawPeer peer(server_.port());
    std::vector<uint32_t> words(256);
    for (uint32_t& word : words) word = random();
    // Half of them with a header that is accepted, so that the garbage gets further.
    if (round % 2 == 0) {
      words[0] = 0;
      words[1] = 64;
    }
    peer.sendWords(words);
  }
}

TEST_F(FramingAttack, PeersThatDoNotGoOnAreDropped) {
  RawPeer silent(server_.port()), header(server_.port()), body(server_.port());
  header.sendWords({0});
  body.sendWords({0, 1000, 1, 2, 3});
  EXPECT_TRUE(header.closedByServer());
  EXPECT_TRUE(body.closedByServer());
  EXPECT_TRUE(silent.closedByServer()) << "no authentication in time";
}

TEST_F(FramingAttack, HttpAndRespAreNotUnderstood) {
  for (const char* text : {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "*1\r\n$4\r\nPING\r\n"}) {
    RawPeer peer(server_.port());
    peer.send(text);
    EXPECT_TRUE(peer.closedByServer());
  }
}

}  // namespace
}  // namespace spolia::test
