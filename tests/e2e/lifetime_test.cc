// Lifetimes, leases and removal of everything, through a real spoliad.
#include <gtest/gtest.h>
#include <kj/async-io.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <ctime>
#include <nlohmann/json.hpp>

#include "client/blocking_client.h"
#include "client/client.h"
#include "tests/e2e/sample_stream.h"
#include "tests/e2e/server_process.h"

namespace spolia::test {
namespace {

class Lifetime : public testing::Test {
 protected:
  Lifetime() : server_(directory_.path()) {}
  void SetUp() override { ASSERT_TRUE(server_.ready()) << server_.errors(); }

  client::ClientConfig config() {
    client::ClientConfig config;
    config.address = server_.unixAddress();
    return config;
  }
  std::unique_ptr<client::BlockingClient> connect() {
    auto client = client::BlockingClient::start(config());
    EXPECT_TRUE(client.ok());
    return std::move(*client);
  }
  Outcome spolia(std::vector<std::string> words) {
    words.insert(words.begin(), spoliaProgram());
    words.insert(words.end(), {"--server", server_.unixAddress()});
    return runCommand(words);
  }
  static bool there(client::BlockingClient& client, const ChunkId& id) {
    const auto page = client.lookup({&id, 1});
    EXPECT_TRUE(page.ok());
    return page.ok() && page->entries[0].ok();
  }
  // Within half a minute.
  template <typename Condition>
  static bool becomes(const Condition& condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    bool met = condition();
    while (!met && std::chrono::steady_clock::now() < end) met = condition();
    return met;
  }

  TemporaryDirectory directory_;
  ServerProcess server_;
};

TEST_F(Lifetime, WhatIsPutWithATtlGoesByItself) {
  const auto stream = sampleStream(1, 64, {});
  const std::string path = (directory_.path() / "stream").string();
  writeText(path, std::string(asText(stream.bytes)));
  EXPECT_EQ(spolia({"put", path, "--ttl", "soon"}).code, 2);
  ASSERT_EQ(spolia({"put", path, "--ttl", "2s"}).code, 0);
  const auto stat = spolia({"stat", stream.id.hex(), "--json"});
  if (stat.code == 0) {  // the machine is not that slow
    EXPECT_TRUE(nlohmann::json::parse(stat.out).contains("expires")) << stat.out;
  }
  auto client = connect();
  EXPECT_TRUE(becomes([&] { return !there(*client, stream.id); }));
  EXPECT_TRUE(becomes([&] { return client->stats()->expired == 1; })) << "its space comes back";
  EXPECT_EQ(client->stats()->entries, 0u);
  EXPECT_EQ(client->fetch(stream.id, {}).status.code(), ErrorCode::kNotFound);
}

TEST_F(Lifetime, IngestingAgainProlongsDocumentsAndNeverShortensThem) {
  const std::string source = SPOLIA_SOURCE_DIR;
  const auto ingest = [&](const std::vector<std::string>& lifetime) {
    std::vector<std::string> words = {programPath("engine/spolia-engine"),
                                      "ingest",
                                      source + "/conf/demo/helen-goes-sailing.txt",
                                      "--model",
                                      source + "/engine/models/micro",
                                      "--cache",
                                      server_.unixAddress(),
                                      "--json"};
    words.insert(words.end(), lifetime.begin(), lifetime.end());
    const Outcome outcome = runCommand(words);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return nlohmann::json::parse(outcome.out);
  };
  auto client = connect();
  // Of chunks and manifest; none of them lives for ever.
  const auto soonestEnd = [&] {
    uint64_t soonest = UINT64_MAX;
    for (const auto kind : {codec::EntryKind::kChunk, codec::EntryKind::kManifest}) {
      const auto page = client->list(kind, "", 100);
      EXPECT_TRUE(page.ok() && !page->entries.empty());
      for (const auto& entry : page->entries) soonest = std::min(soonest, entry.expiresAt);
    }
    return soonest;
  };
  constexpr uint64_t kHour = 3600;
  EXPECT_EQ(ingest({"--ttl", "1h"})["new"], 1);
  const uint64_t first = soonestEnd();
  EXPECT_NE(first, 0u);
  const auto again = ingest({"--ttl", "10h"});
  EXPECT_EQ(again["unchanged"], 1) << again;
  EXPECT_EQ(again["chunks_computed"], 0) << again;
  const uint64_t later = soonestEnd();
  EXPECT_GE(later, first + 9 * kHour);
  ingest({"--ttl", "2h"});
  ingest({});
  EXPECT_EQ(soonestEnd(), later);
}

TEST_F(Lifetime, ALeaseHoldsUntilItIsEndedAndAConnectionTakesItsLeasesAlong) {
  auto client = connect();
  auto other = connect();
  const auto stream = sampleStream(1, 64, {});
  ASSERT_TRUE(client->store(stream.buffer(), {codec::PutMode::kIfAbsent, 3}).status.ok());
  const ChunkId ids[] = {stream.id, ChunkId{}};
  auto leased = other->lease(ids, 60000);
  ASSERT_TRUE(leased.ok()) << leased.status().toString();
  ASSERT_TRUE(leased->found.entries[0].ok()) << "stored longer ago than it lives";
  EXPECT_EQ(leased->found.prefix, 1u);
  EXPECT_EQ(leased->lengthMs, 60000u);
  const uint64_t until = leased->found.entries[0]->expiresAt;
  EXPECT_TRUE(becomes([&] { return static_cast<uint64_t>(std::time(nullptr)) > until + 1; }));
  EXPECT_TRUE(there(*client, stream.id));
  EXPECT_TRUE(client->fetch(stream.id, {}).status.ok());
  other->endLease(leased->lease);
  EXPECT_TRUE(becomes([&] { return !there(*client, stream.id); }));

  ASSERT_TRUE(client->store(stream.buffer(), codec::PutMode::kIfAbsent).status.ok());
  ASSERT_TRUE(other->lease(ids, 60000).ok());
  EXPECT_EQ(client->stats()->leased, 1u);
  other.reset();
  EXPECT_TRUE(becomes([&] { return client->stats()->leased == 0; }));
}

TEST_F(Lifetime, LookupLeaseAndFetchAreOneCall) {
  const auto stream = sampleStream(1, 64, {});
  ASSERT_TRUE(connect()->store(stream.buffer(), codec::PutMode::kIfAbsent).status.ok());
  auto io = kj::setupAsyncIo();
  client::Client client(io.provider->getNetwork(), io.provider->getTimer(), config());
  codec::ChunkCompletion frames, absent;
  std::vector<client::FetchItem> items;
  items.push_back({stream.id, {}, [&](codec::ChunkCompletion done) { frames = std::move(done); }});
  items.push_back({ChunkId{}, {}, [&](codec::ChunkCompletion done) { absent = std::move(done); }});
  auto leased = client.lease({stream.id, ChunkId{}}, 600, std::move(items)).wait(io.waitScope);
  ASSERT_TRUE(leased.ok()) << leased.status().toString();
  EXPECT_TRUE(leased->found.entries[0].ok());
  EXPECT_FALSE(leased->found.entries[1].ok());
  ASSERT_TRUE(frames.status.ok()) << frames.status.toString();
  ASSERT_FALSE(frames.frames.empty());
  EXPECT_TRUE(codec::verifyFrame(*frames.header, frames.frame(0)).ok());
  EXPECT_EQ(absent.status.code(), ErrorCode::kNotFound);

  auto renew = leased->lease->capability.renewRequest();
  renew.setTtlMs(5'000'000);
  EXPECT_EQ(renew.send().wait(io.waitScope).getTtlMs(), 600'000u) << "the server's limit";
  EXPECT_EQ(client.stats().wait(io.waitScope)->leased, 1u);
  leased->lease = nullptr;
  EXPECT_EQ(client.stats().wait(io.waitScope)->leased, 0u);
}

// A quarter of the capacity for a tenant, which the end of a connection gives back.
TEST_F(Lifetime, LeasesHaveLimits) {
  auto client = connect(), other = connect();
  const auto stream = sampleStream(1, 200, {});
  ASSERT_TRUE(client->store(stream.buffer(), codec::PutMode::kIfAbsent).status.ok());
  const std::vector<ChunkId> twice(2, stream.id);
  const uint64_t enough = (32 << 20) / stream.bytes.size() + 1;
  Status refused;
  uint64_t leases = 0;
  while (refused.ok() && leases <= enough) {
    refused = client->lease(twice, 60000).status();
    if (refused.ok()) ++leases;
  }
  EXPECT_EQ(refused.code(), ErrorCode::kResourceExhausted);
  EXPECT_NE(refused.message().find("this tenant"), std::string::npos) << refused.message();
  EXPECT_GT(leases, enough / 2);
  EXPECT_FALSE(other->lease(twice, 60000).ok());
  client.reset();
  EXPECT_TRUE(becomes([&] { return other->lease(twice, 60000).ok(); }));
}

TEST_F(Lifetime, RemoveAllIsDurableAndOfOneKindOrAll) {
  auto client = connect();
  auto many = client::QueuedClient::start(config());
  ASSERT_TRUE(many.ok());
  codec::ChunkQueue queue;
  for (uint32_t i = 0; i < 700; ++i) {
    client::ValueToPut value;
    value.id.bytes = sha256(asBytes(std::to_string(i)));
    value.kind = i % 2 == 0 ? codec::EntryKind::kOpaque : codec::EntryKind::kManifest;
    value.bytes = AlignedBuffer::copyOf(asBytes("text"));
    (*many)->submitPutValue(std::move(value), i, queue);
  }
  for (uint32_t i = 0; i < 700; ++i) ASSERT_TRUE(queue.waitPop().status.ok());
  const auto manifests = client->removeAll(codec::EntryKind::kManifest);
  ASSERT_TRUE(manifests.ok()) << manifests.status().toString();
  EXPECT_EQ(*manifests, 350u);
  EXPECT_EQ(client->stats()->entries, 350u);
  const auto rest = spolia({"rm", "--all", "--json"});
  ASSERT_EQ(rest.code, 0) << rest.err;
  EXPECT_EQ(nlohmann::json::parse(rest.out)["removed"], 350);
  server_.stop(SIGKILL);
  ServerProcess again(directory_.path());
  ASSERT_TRUE(again.ready()) << again.errors();
  auto after = client::BlockingClient::start(again.config());
  ASSERT_TRUE(after.ok());
  EXPECT_EQ((*after)->stats()->entries, 0u);
  EXPECT_EQ(*(*after)->removeAll(std::nullopt), 0u);
}

}  // namespace
}  // namespace spolia::test
