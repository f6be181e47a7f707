#include "client/library/library_client.h"

#include <gtest/gtest.h>

#include "client/protocol/header_tag.h"
#include "client/protocol/wire_bytes.h"
#include "tests/client/profiled_chunk.h"
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

// A chunk that names a profile, and a server that has it.
class ProfiledFetchTest : public testing::Test {
 protected:
  explicit ProfiledFetchTest(bool derived = false)
      : profile_(codec::madeUpProfile(test::threeLayers(1, derived))) {}

  // What the server has of the profile: nothing is an answer that never comes.
  void serve(std::optional<Bytes> profile, std::chrono::milliseconds budget = {}) {
    test::ScriptedServer::Data data{{}, std::move(profile)};
    for (const codec::FrameEntry& frame : chunk_.header.frames) {
      const auto bytes = ByteSpan(chunk_.stream).subspan(frame.offset, frame.size);
      data.frames.insert(data.frames.end(), bytes.begin(), bytes.end());
    }
    server_.emplace([this](auto answer) { describe(answer); }, std::move(data));
    ClientConfig config;
    config.address = server_->address();
    config.callTimeout = std::chrono::hours(1);
    config.fetchBudget = budget;
    client_ = *LibraryClient::open(config, 1);
  }
  void describe(protocol::FetchAnswer::Builder answer) const {
    const auto& frames = chunk_.header.frames;
    answer.setFound();
    answer.setHeader(protocol::dataOf(ByteSpan(chunk_.stream).first(chunk_.header.headerBytes)));
    answer.setHeaderTag(protocol::headerTag(chunk_.header));
    auto list = answer.initFrames(static_cast<uint32_t>(frames.size()));
    uint64_t total = 0;
    for (uint32_t i = 0; i < list.size(); ++i) {
      list[i].setIndex(i);
      list[i].setSize(frames[i].size);
      total += frames[i].size;
    }
    answer.setTotalBytes(total);
  }

  FetchOrder order() {
    FetchOrder order;
    order.id = chunk_.id;
    order.layers = chunk_.header.layers;
    order.target = test::ProfiledChunk::target(values_);
    order.targetBytes = values_.size() * sizeof(float);
    return order;
  }
  spolia_result next() {
    spolia_result result{};
    EXPECT_EQ(queue_->take({&result, 1}, -1), 1u);
    return result;
  }
  bool untouched() const { return values_ == std::vector<float>(values_.size(), kUntouched); }

  static constexpr float kUntouched = test::ProfiledChunk::kUntouched;
  const std::shared_ptr<const codec::Profile> profile_;
  const test::ProfiledChunk chunk_{*profile_};
  std::vector<float> values_ = std::vector<float>(chunk_.valueCount(), kUntouched);
  std::shared_ptr<RequestQueue> queue_ = *RequestQueue::open();
  std::optional<test::ScriptedServer> server_;
  std::unique_ptr<LibraryClient> client_;
};

TEST_F(ProfiledFetchTest, TheProfileIsFetchedOnceAndDecodedWith) {
  serve(codec::writeProfile(profile_->data()));
  const spolia_result result = client_->fetch(order());
  EXPECT_EQ(result.code, SPOLIA_OK) << result.message;
  EXPECT_EQ(values_, chunk_.values);
  values_.assign(values_.size(), kUntouched);
  client_->submitFetch(order(), {queue_, 3});
  EXPECT_EQ(next().code, SPOLIA_OK);
  EXPECT_EQ(values_, chunk_.values);
  EXPECT_EQ(server_->valuesAsked(), 1u);
}

TEST_F(ProfiledFetchTest, SubmittedTogetherTheyShareOneDownload) {
  serve(codec::writeProfile(profile_->data()));
  constexpr uint64_t kMany = 12;
  for (uint64_t i = 0; i < kMany; ++i) client_->submitFetch(order(), {queue_, i});
  std::vector<int> answers(kMany);
  for (uint64_t i = 0; i < kMany; ++i) {
    const spolia_result result = next();
    EXPECT_EQ(result.code, SPOLIA_OK) << result.message;
    ++answers[result.cookie];
  }
  EXPECT_EQ(answers, std::vector<int>(kMany, 1));
  EXPECT_EQ(values_, chunk_.values);
  EXPECT_EQ(server_->valuesAsked(), 1u);
}

// The same chunk without its first layer.
class DerivedLayerTest : public ProfiledFetchTest {
 protected:
  DerivedLayerTest() : ProfiledFetchTest(/*derived=*/true) {
    serve(codec::writeProfile(profile_->data()));
  }
  spolia_result fetch(bool computes, codec::KvRange range = {}) {
    values_.assign(values_.size(), kUntouched);
    FetchOrder asked = order();
    asked.computesDerived = computes;
    asked.range = range;
    return client_->fetch(asked);
  }
};

TEST_F(DerivedLayerTest, IsAMissForWhoDoesNotComputeIt) {
  for (const codec::KvRange& range : {codec::KvRange{}, codec::KvRange{0, 1}}) {
    const spolia_result result = fetch(false, range);
    EXPECT_EQ(result.code, SPOLIA_NOT_FOUND);
    EXPECT_NE(std::string(result.message).find("computes_derived"), std::string::npos);
    EXPECT_EQ(result.derived_layers, 1u);
    EXPECT_TRUE(untouched());
  }
  EXPECT_EQ(server_->valuesAsked(), 0u);
}

TEST_F(DerivedLayerTest, IsLeftToWhoComputesIt) {
  const spolia_result result = fetch(true);
  EXPECT_EQ(result.code, SPOLIA_OK) << result.message;
  EXPECT_EQ(result.layers, test::ProfiledChunk::kLayers - 1);
  EXPECT_EQ(result.derived_layers, 1u);
  EXPECT_EQ(values_, chunk_.values);
  const auto firstStored = values_.begin() + static_cast<ptrdiff_t>(values_.size() / 3);
  EXPECT_EQ(std::count(values_.begin(), firstStored, kUntouched), firstStored - values_.begin());
}

TEST_F(ProfiledFetchTest, AWrongProfileIsCorruptAndNothingIsWritten) {
  serve(codec::writeProfile(codec::madeUpProfileData(test::threeLayers(2))));
  spolia_result result = client_->fetch(order());
  EXPECT_EQ(result.code, SPOLIA_ERROR_CORRUPT);
  EXPECT_NE(std::string(result.message).find(profile_->id().hex()), std::string::npos);
  client_->submitFetch(order(), {queue_, 0});
  result = next();
  EXPECT_EQ(result.code, SPOLIA_ERROR_CORRUPT) << result.message;
  EXPECT_TRUE(untouched());
}

TEST_F(ProfiledFetchTest, AProfileThatDoesNotComeIsLateInTheTimeOfTheFetch) {
  serve(std::nullopt, std::chrono::milliseconds(300));
  EXPECT_EQ(client_->fetch(order()).code, SPOLIA_ERROR_DEADLINE_EXCEEDED);
  client_->submitFetch(order(), {queue_, 0});
  EXPECT_EQ(next().code, SPOLIA_ERROR_DEADLINE_EXCEEDED);
  EXPECT_TRUE(untouched());
}

TEST_F(ProfiledFetchTest, CancelledOrClosedWhileItWaitsForTheProfile) {
  serve(std::nullopt);
  const uint64_t ticket = client_->submitFetch(order(), {queue_, 1});
  server_->awaitValueAsked();
  EXPECT_TRUE(client_->cancel(ticket).ok());
  spolia_result result = next();
  EXPECT_EQ(result.code, SPOLIA_ERROR_CANCELLED);
  EXPECT_EQ(result.cookie, 1u);
  client_->submitFetch(order(), {queue_, 2});
  client_.reset();
  result = next();
  EXPECT_EQ(result.code, SPOLIA_ERROR_CANCELLED);
  EXPECT_EQ(result.cookie, 2u);
  EXPECT_EQ(queue_->take({&result, 1}, 0), 0u);
  EXPECT_TRUE(untouched());
}

}  // namespace
}  // namespace spolia::client
