#include "client/library/library_client.h"

#include <gtest/gtest.h>

#include "client/protocol/header_tag.h"
#include "client/protocol/wire_bytes.h"
#include "tests/client/scripted_server.h"
#include "tests/e2e/sample_stream.h"

namespace spolia::client {
namespace {

class LibraryClientTest : public testing::Test {
 protected:
  static std::unique_ptr<LibraryClient> clientOf(const test::ScriptedServer& server) {
    ClientConfig config;
    config.address = server.address();
    config.callTimeout = std::chrono::milliseconds(7000);
    auto client = LibraryClient::open(config, 1);
    EXPECT_TRUE(client.ok());
    return std::move(*client);
  }

  // All of `stream`, into values_.
  FetchOrder order(const test::SampleStream& stream) {
    FetchOrder order;
    order.id = stream.id;
    order.layers.assign(3, {2, 32});
    values_.assign(3 * 2 * 2 * stream.identity.rows() * 32, 7.0f);
    const ptrdiff_t row = 32 * sizeof(float);
    const ptrdiff_t head = row * stream.identity.rows();
    order.target = {reinterpret_cast<std::byte*>(values_.data()),
                    4 * head,
                    2 * head,
                    head,
                    row,
                    codec::ElementType::kF32};
    order.targetBytes = values_.size() * sizeof(float);
    return order;
  }

  std::vector<float> values_;
};

// Answers with the stream's header and these of its frames, without their bytes.
test::ScriptedServer::Answer headerAlone(const test::SampleStream& stream) {
  return [&stream](protocol::FetchAnswer::Builder answer) {
    const auto header = codec::parseHeader(stream.bytes);
    answer.setFound();
    answer.setHeader(protocol::dataOf(ByteSpan(stream.bytes).first(header->headerBytes)));
    answer.setHeaderTag(protocol::headerTag(*header));
  };
}

TEST_F(LibraryClientTest, FramesLeftOutAreCorruptAndNothingIsWritten) {
  const auto stream = test::sampleStream(1, 100, {});
  test::ScriptedServer server(headerAlone(stream));
  const auto client = clientOf(server);
  const spolia_result result = client->fetch(order(stream));
  EXPECT_EQ(result.code, SPOLIA_ERROR_CORRUPT) << result.message;
  EXPECT_EQ(values_, std::vector<float>(values_.size(), 7.0f));
}

TEST_F(LibraryClientTest, AnotherChunksHeaderIsCorrupt) {
  const auto asked = test::sampleStream(1, 100, {});
  const auto other = test::sampleStream(2, 100, {});
  test::ScriptedServer server(headerAlone(other));
  const auto client = clientOf(server);
  EXPECT_EQ(client->fetch(order(asked)).code, SPOLIA_ERROR_CORRUPT);
}

TEST_F(LibraryClientTest, FetchTellsTheServerItsDeadline) {
  const auto stream = test::sampleStream(1, 100, {});
  test::ScriptedServer server([](protocol::FetchAnswer::Builder answer) { answer.setAbsent(); });
  const auto client = clientOf(server);
  EXPECT_EQ(client->fetch(order(stream)).code, SPOLIA_NOT_FOUND);
  EXPECT_GT(server.deadlineMs(), 0u);
  EXPECT_LE(server.deadlineMs(), 7000u);
}

}  // namespace
}  // namespace spolia::client
