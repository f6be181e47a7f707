// Streams and values through the queued client and a real spoliad.
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "client/blocking_client.h"
#include "client/protocol/limits.h"
#include "tests/e2e/cutting_proxy.h"
#include "tests/e2e/sample_stream.h"
#include "tests/e2e/server_process.h"

namespace spolia::test {
namespace {

class QueuedTransfer : public testing::Test {
 protected:
  QueuedTransfer() : server_(directory_.path()) {}
  void SetUp() override { ASSERT_TRUE(server_.ready()) << server_.errors(); }

  std::unique_ptr<client::QueuedClient> queued(const std::string& address) {
    client::ClientConfig config;
    config.address = address;
    auto client = client::QueuedClient::start(config);
    EXPECT_TRUE(client.ok());
    return std::move(*client);
  }
  static client::ValueToPut bigValue(size_t bytes, uint32_t seed) {
    client::ValueToPut put;
    put.id.bytes.fill(static_cast<std::byte>(seed));
    put.bytes = AlignedBuffer(bytes);
    std::mt19937 random(seed);
    for (std::byte& byte : put.bytes.span()) byte = static_cast<std::byte>(random());
    return put;
  }

  TemporaryDirectory directory_;
  ServerProcess server_;
  codec::ChunkQueue queue_;
};

// Every frame of a completion is the one that the stream has at that place.
void expectFrames(const codec::ChunkCompletion& done, const SampleStream& stream,
                  const codec::KvRange& range) {
  ASSERT_TRUE(done.status.ok()) << done.status.toString();
  ASSERT_NE(done.header, nullptr);
  EXPECT_EQ(done.header->identity, stream.identity);
  const auto expected = codec::coveringFrames(*done.header, range);
  ASSERT_EQ(done.frames.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(done.frames[i].index, expected[i]);
    EXPECT_TRUE(codec::verifyFrame(*done.header, done.frame(i)).ok());
  }
}

TEST_F(QueuedTransfer, ManyReadsInFlightAreEachAnsweredWithTheirFrames) {
  auto client = queued(server_.tcp());
  std::vector<SampleStream> streams;
  for (uint32_t i = 0; i < 12; ++i) {
    streams.push_back(sampleStream(i + 1, 200, {}));
    client->submitStore(streams.back().buffer(), codec::PutMode::kIfAbsent, i, queue_);
  }
  for (size_t i = 0; i < streams.size(); ++i) {
    const auto done = queue_.waitPop();
    ASSERT_TRUE(done.status.ok()) << done.status.toString();
    EXPECT_EQ(done.outcome, codec::PutOutcome::kStored);
  }
  // Twice: without and with the headers known.
  for (int round = 0; round < 2; ++round) {
    std::map<uint64_t, std::pair<size_t, codec::KvRange>> asked;
    for (size_t i = 0; i < streams.size(); ++i) {
      for (uint32_t layer = 0; layer < 3; ++layer) {
        const codec::KvRange range{layer, layer + 1, 32 * layer, 200, 255};
        asked[asked.size()] = {i, range};
        client->submitFetch(streams[i].id, range, asked.size() - 1, queue_);
      }
    }
    client->submitFetch(ChunkId{}, {}, 1000, queue_);
    for (size_t n = asked.size() + 1; n > 0; --n) {
      const auto done = queue_.waitPop();
      if (done.cookie == 1000) {
        EXPECT_EQ(done.status.code(), ErrorCode::kNotFound);
        continue;
      }
      const auto node = asked.extract(done.cookie);
      ASSERT_FALSE(node.empty()) << "answered twice: " << done.cookie;
      expectFrames(done, streams[node.mapped().first], node.mapped().second);
      EXPECT_NE(done.tier, codec::Tier::kNone);
    }
    EXPECT_TRUE(asked.empty());
  }
}

TEST_F(QueuedTransfer, ReplacedStreamIsReadByItsOwnHeader) {
  const auto coarse = sampleStream(1, 200, {}, codec::Preset::kHigh);
  const auto fine = sampleStream(1, 200, {}, codec::Preset::kLossless);
  ASSERT_EQ(coarse.id, fine.id);
  auto reader = queued(server_.tcp());
  auto writer = queued(server_.unixAddress());
  const auto answer = [&] { return queue_.waitPop(); };
  writer->submitStore(coarse.buffer(), codec::PutMode::kIfAbsent, 0, queue_);
  EXPECT_EQ(answer().outcome, codec::PutOutcome::kStored);
  reader->submitFetch(coarse.id, {}, 0, queue_);
  EXPECT_EQ(answer().header->preset, codec::Preset::kHigh);
  writer->submitStore(fine.buffer(), codec::PutMode::kIfAbsent, 0, queue_);
  auto exists = answer();
  EXPECT_EQ(exists.outcome, codec::PutOutcome::kExists);
  EXPECT_EQ(exists.info.preset, codec::Preset::kHigh);
  writer->submitStore(fine.buffer(), codec::PutMode::kIfFiner, 0, queue_);
  EXPECT_EQ(answer().outcome, codec::PutOutcome::kReplaced);
  reader->submitFetch(coarse.id, {}, 0, queue_);
  const auto done = answer();
  expectFrames(done, fine, {});
  EXPECT_EQ(done.header->preset, codec::Preset::kLossless);
}

TEST_F(QueuedTransfer, LargeValuesGoInSlices) {
  auto client = queued(server_.tcp());
  for (size_t bytes :
       {size_t{0}, size_t{1}, size_t{512} << 10, size_t{9'000'001}, size_t{30'000'001}}) {
    auto put = bigValue(bytes, 5);
    const Bytes original = toBytes(put.bytes.span());
    const ChunkId id = put.id;
    client->submitPutValue(std::move(put), 1, queue_);
    const auto stored = queue_.waitPop();
    ASSERT_TRUE(stored.status.ok()) << bytes << ": " << stored.status.toString();
    client->submitGetValue(id, 2, queue_);
    const auto back = queue_.waitPop();
    ASSERT_TRUE(back.status.ok()) << bytes << ": " << back.status.toString();
    EXPECT_EQ(toBytes(back.bytes.span()), original);
  }
  client->submitPutValue(bigValue(40'000'000, 6), 3, queue_);
  EXPECT_EQ(queue_.waitPop().status.code(), ErrorCode::kOutOfSpace) << "a quarter of 128 MiB";
  client->submitPutValue(bigValue(protocol::kMaxStreamBytes + 1, 6), 3, queue_);
  EXPECT_EQ(queue_.waitPop().status.code(), ErrorCode::kInvalidArgument);
}

TEST_F(QueuedTransfer, ListingIsPagedWithoutLossOrRepetition) {
  auto client = queued(server_.tcp());
  std::set<ChunkId> ids;
  for (uint32_t i = 0; i < 25; ++i) {
    auto put = bigValue(10, i + 1);
    ids.insert(put.id);
    client->submitPutValue(std::move(put), i, queue_);
  }
  for (int i = 0; i < 25; ++i) ASSERT_TRUE(queue_.waitPop().status.ok());
  std::set<ChunkId> seen;
  std::string cursor;
  do {
    const auto page = client->list(codec::EntryKind::kOpaque, cursor, 7);
    ASSERT_TRUE(page.ok()) << page.status().toString();
    EXPECT_LE(page->entries.size(), 7u);
    for (const auto& entry : page->entries) EXPECT_TRUE(seen.insert(entry.id).second);
    cursor = page->next;
  } while (!cursor.empty());
  EXPECT_EQ(seen, ids);
  EXPECT_EQ(client->list(codec::EntryKind::kOpaque, "no cursor of ours", 7).status().code(),
            ErrorCode::kInvalidArgument);
  const std::vector<ChunkId> asked = {*ids.begin(), *ids.rbegin(), ChunkId{}, *ids.begin()};
  const auto lookup = client->lookup(asked);
  ASSERT_TRUE(lookup.ok());
  EXPECT_EQ(lookup->prefix, 2u);
  EXPECT_TRUE(lookup->entries[3].ok());
}

TEST_F(QueuedTransfer, AnAnnouncedFetchIsServedByMemory) {
  auto client = queued(server_.tcp());
  std::vector<ChunkId> ids;
  for (uint32_t i = 1; i <= 3; ++i) {
    auto put = bigValue(300'000, i);
    ids.push_back(put.id);
    client->submitPutValue(std::move(put), i, queue_);
    ASSERT_TRUE(queue_.waitPop().status.ok());
  }
  const auto found = client->lookup(ids, client::LookupFor::kFetching);
  ASSERT_TRUE(found.ok()) << found.status().toString();
  EXPECT_EQ(found->prefix, 3u);
  // Each block is read once: by the announcement or, joined, by a fetch that is as fast.
  for (uint32_t i = 1; i <= 3; ++i) {
    client->submitGetValue(ids[i - 1], i, queue_);
    const auto done = queue_.waitPop();
    ASSERT_TRUE(done.status.ok()) << done.status.toString();
    EXPECT_EQ(toBytes(done.bytes.span()), toBytes(bigValue(300'000, i).bytes.span()));
  }
  const auto stats = client->stats();
  ASSERT_TRUE(stats.ok());
  EXPECT_EQ(stats->memoryCapacityBytes, 1ull << 30);
  EXPECT_EQ(stats->memoryAheadBytes + stats->memoryAdmittedBytes, 900'000u);
  EXPECT_GE(stats->memoryUsedBytes, 900'000u);
  EXPECT_LT(stats->bytesRead, 1'200'000u);
  client->submitGetValue(ids[0], 9, queue_);
  EXPECT_EQ(queue_.waitPop().tier, codec::Tier::kMemory);
  EXPECT_GE(client->stats()->memoryHits, 1u);
}

TEST_F(QueuedTransfer, ConnectionCutInsideAnAnswerIsAskedAgain) {
  auto put = bigValue(4000000, 9);
  const Bytes original = toBytes(put.bytes.span());
  const ChunkId id = put.id;
  queued(server_.tcp())->submitPutValue(std::move(put), 0, queue_);
  EXPECT_EQ(queue_.waitPop().status.code(), ErrorCode::kCancelled) << "its client went at once";
  auto direct = queued(server_.tcp());
  direct->submitPutValue(bigValue(4000000, 9), 0, queue_);
  ASSERT_TRUE(queue_.waitPop().status.ok());

  CuttingProxy once(server_.port(), 1000000, 1);
  auto client = queued(once.address());
  ASSERT_TRUE(client->ping().ok());
  client->submitGetValue(id, 1, queue_);
  const auto back = queue_.waitPop();
  ASSERT_TRUE(back.status.ok()) << back.status.toString();
  EXPECT_EQ(toBytes(back.bytes.span()), original);
  EXPECT_EQ(once.connections(), 2);

  CuttingProxy always(server_.port(), 1000000, 1000);
  auto unlucky = queued(always.address());
  unlucky->submitGetValue(id, 2, queue_);
  EXPECT_EQ(queue_.waitPop().status.code(), ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace spolia::test
