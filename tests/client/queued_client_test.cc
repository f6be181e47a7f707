#include "client/queued_client.h"

#include <gtest/gtest.h>

#include "client/blocking_client.h"
#include "tests/client/fake_server.h"

namespace spolia::client {
namespace {

using std::chrono::milliseconds;

ClientConfig configFor(const std::string& address) {
  ClientConfig config;
  config.address = address;
  config.connectTimeout = milliseconds(200);
  config.callTimeout = milliseconds(500);
  return config;
}

// One request of each kind; their cookies are 0..6.
constexpr uint64_t kKinds = 7;
void submitOneOfEach(QueuedClient& client, codec::ChunkQueue& queue) {
  const ChunkId id{};
  client.submitOpen(id, 0, queue);
  client.submitFetch(id, {}, 1, queue);
  client.submitStore(AlignedBuffer::zeroed(100000), codec::PutMode::kIfAbsent, 2, queue);
  client.submitRemove(id, 3, queue);
  client.submitPutManifest(id, "name", AlignedBuffer::zeroed(10), 4, queue);
  client.submitPutValue({id, codec::EntryKind::kOpaque, "", AlignedBuffer::zeroed(10)}, 5, queue);
  client.submitGetValue(id, 6, queue);
}

// Each request completes once, with one of `codes`.
void expectAllFail(codec::ChunkQueue& queue, std::vector<ErrorCode> codes) {
  std::vector<int> answers(kKinds, 0);
  for (uint64_t i = 0; i < kKinds; ++i) {
    const auto done = queue.waitPop();
    ASSERT_LT(done.cookie, kKinds);
    ++answers[done.cookie];
    EXPECT_NE(std::find(codes.begin(), codes.end(), done.status.code()), codes.end())
        << done.cookie << ": " << done.status.toString();
  }
  EXPECT_EQ(answers, std::vector<int>(kKinds, 1));
  EXPECT_FALSE(queue.tryPop());
}

TEST(QueuedClient, ServerThatIsDownIsUnavailable) {
  auto client = QueuedClient::start(configFor("spolia://127.0.0.1:1"));
  ASSERT_TRUE(client.ok());
  codec::ChunkQueue queue;
  submitOneOfEach(**client, queue);
  expectAllFail(queue, {ErrorCode::kUnavailable});
  EXPECT_EQ((*client)->stats().status().code(), ErrorCode::kUnavailable);
  EXPECT_EQ((*client)->list(codec::EntryKind::kChunk, "", 1).status().code(),
            ErrorCode::kUnavailable);
  EXPECT_EQ((*client)->lookup({}).status().code(), ErrorCode::kUnavailable);
}

TEST(QueuedClient, MissingUnixSocketIsUnavailable) {
  auto client = BlockingClient::start(configFor("spolia+unix:///nowhere/s.sock"));
  ASSERT_TRUE(client.ok());
  const Status status = (*client)->ping().status();
  EXPECT_EQ(status.code(), ErrorCode::kUnavailable) << status.toString();
  EXPECT_NE(status.message().find("/nowhere/s.sock"), std::string::npos) << status.message();
}

TEST(QueuedClient, ServerThatHangsIsGivenUpInTime) {
  test::MuteServer server;
  auto client = QueuedClient::start(configFor(server.address()));
  ASSERT_TRUE(client.ok());
  codec::ChunkQueue queue;
  submitOneOfEach(**client, queue);
  expectAllFail(queue, {ErrorCode::kUnavailable, ErrorCode::kDeadlineExceeded});
}

TEST(QueuedClient, ResetConnectionsAreUnavailable) {
  test::ResettingServer server;
  auto client = QueuedClient::start(configFor(server.address()));
  ASSERT_TRUE(client.ok());
  codec::ChunkQueue queue;
  submitOneOfEach(**client, queue);
  expectAllFail(queue, {ErrorCode::kUnavailable});
}

TEST(QueuedClient, DestructorAnswersWhatIsOwed) {
  test::MuteServer server;
  codec::ChunkQueue queue;
  {
    auto config = configFor(server.address());
    config.connectTimeout = config.callTimeout = milliseconds(3600000);
    auto client = QueuedClient::start(config);
    ASSERT_TRUE(client.ok());
    submitOneOfEach(**client, queue);
  }
  expectAllFail(queue, {ErrorCode::kCancelled});
}

TEST(QueuedClient, BadConfigurationIsRefusedAtStart) {
  EXPECT_EQ(QueuedClient::start(configFor("http://x")).status().code(),
            ErrorCode::kInvalidArgument);
  auto config = configFor("spolia://x");
  config.callsInFlight = 0;
  EXPECT_EQ(QueuedClient::start(config).status().code(), ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace spolia::client
