// Tokens, tenants and models against a real spoliad.
#include <gtest/gtest.h>

#include "client/blocking_client.h"
#include "tests/e2e/sample_stream.h"
#include "tests/e2e/server_process.h"

namespace spolia::test {
namespace {

constexpr const char* kReader = "reader-token-0123456789";
constexpr const char* kWriter = "writer-token-0123456789";
constexpr const char* kAdmin = "admin-token-01234567890";
constexpr const char* kOther = "other-token-01234567890";

class AccessControl : public testing::Test {
 protected:
  AccessControl() {
    writeText(directory_.path() / "tokens", std::string("# tenants\n") + "team read " + kReader +
                                                "\nteam read,write " + kWriter + "\nteam admin " +
                                                kAdmin + "\nother read,write " + kOther + "\n");
    server_ = std::make_unique<ServerProcess>(
        directory_.path(),
        std::vector<std::string>{"--token-file", (directory_.path() / "tokens").string()});
  }
  void SetUp() override { ASSERT_TRUE(server_->ready()) << server_->errors(); }

  std::unique_ptr<client::BlockingClient> connect(const std::string& token,
                                                  const std::string& model = "",
                                                  const std::string& salt = "") {
    auto config = server_->config();
    config.token = token;
    config.salt = salt;
    if (!model.empty()) config.model = client::ModelName{"m", sampleModel(model)};
    auto client = client::BlockingClient::start(config);
    EXPECT_TRUE(client.ok());
    return std::move(*client);
  }
  static client::ValueToPut value(char fill) {
    client::ValueToPut put;
    put.id.bytes.fill(static_cast<std::byte>(fill));
    put.bytes = AlignedBuffer::copyOf(asBytes("text"));
    return put;
  }

  TemporaryDirectory directory_;
  std::unique_ptr<ServerProcess> server_;
};

TEST_F(AccessControl, UnknownAndMissingTokensAreRefused) {
  for (const std::string& token : {std::string(), std::string("wrong-token-0123456789")}) {
    EXPECT_EQ(connect(token)->ping().status().code(), ErrorCode::kPermissionDenied);
  }
  const auto cli = runCommand({spoliaProgram(), "ping", "--server", server_->tcp()});
  EXPECT_EQ(cli.code, 6) << cli.err;
}

TEST_F(AccessControl, RightsAreEnforcedForEachKindOfCall) {
  auto writer = connect(kWriter), reader = connect(kReader);
  const ChunkId id = value('a').id;
  EXPECT_TRUE(writer->putValue(value('a')).status.ok());
  EXPECT_TRUE(reader->getValue(value('a').id).status.ok());
  EXPECT_EQ(reader->putValue(value('b')).status.code(), ErrorCode::kPermissionDenied);
  EXPECT_EQ(reader->remove(value('a').id).status.code(), ErrorCode::kPermissionDenied);
  EXPECT_EQ(reader->removeAll(std::nullopt).status().code(), ErrorCode::kPermissionDenied);
  EXPECT_TRUE(reader->lease({&id, 1}, 1000).ok());
  EXPECT_TRUE(reader->getValue(value('a').id).status.ok());
  EXPECT_TRUE(writer->remove(value('a').id).status.ok());
}

TEST_F(AccessControl, CountersAreForAdministrators) {
  ASSERT_TRUE(connect(kWriter)->putValue(value('a')).status.ok());
  const auto all = connect(kAdmin)->stats();
  const auto some = connect(kReader)->stats();
  ASSERT_TRUE(all.ok() && some.ok());
  EXPECT_GT(all->entries, 0u);
  EXPECT_EQ(some->entries, 0u);
  EXPECT_EQ(some->capacityBytes, all->capacityBytes);
}

TEST_F(AccessControl, TenantsNeitherSeeNorDetectEachOther) {
  auto team = connect(kWriter), other = connect(kOther);
  ASSERT_TRUE(team->putValue(value('a')).status.ok());
  const ChunkId id = value('a').id;
  EXPECT_EQ(other->getValue(id).status.code(), ErrorCode::kNotFound);
  EXPECT_EQ(other->lookup({&id, 1})->prefix, 0u);
  EXPECT_EQ(other->remove(id).status.code(), ErrorCode::kNotFound);
  EXPECT_TRUE(other->list(codec::EntryKind::kOpaque, "", 10)->entries.empty());
  EXPECT_FALSE(other->lease({&id, 1}, 1000)->found.entries[0].ok());
  EXPECT_EQ(*other->removeAll(std::nullopt), 0u);
  EXPECT_EQ(other->putValue(value('a')).outcome, codec::PutOutcome::kStored);
  // The same tenant by another token does.
  EXPECT_TRUE(connect(kReader)->getValue(id).status.ok());
}

TEST_F(AccessControl, SaltsOfATenantNeitherSeeNorDetectEachOther) {
  const ChunkId id = value('a').id;
  auto plain = connect(kWriter), a = connect(kWriter, "", "a"), b = connect(kWriter, "", "b");
  ASSERT_TRUE(a->putValue(value('a')).status.ok());
  for (auto* other : {&plain, &b}) {
    EXPECT_EQ((*other)->getValue(id).status.code(), ErrorCode::kNotFound);
    EXPECT_EQ((*other)->lookup({&id, 1})->prefix, 0u);
    EXPECT_EQ((*other)->remove(id).status.code(), ErrorCode::kNotFound);
    EXPECT_TRUE((*other)->list(codec::EntryKind::kOpaque, "", 10)->entries.empty());
    EXPECT_EQ(*(*other)->removeAll(std::nullopt), 0u);
  }
  ASSERT_TRUE(plain->putValue(value('a')).status.ok());
  ASSERT_TRUE(plain->remove(id).status.ok());
  // The same salt of the same tenant finds it, of another one not.
  auto again = connect(kReader, "", "a");
  EXPECT_TRUE(again->getValue(id).status.ok());
  EXPECT_EQ(again->list(codec::EntryKind::kOpaque, "", 10)->entries.size(), 1u);
  EXPECT_EQ(again->putValue(value('b')).status.code(), ErrorCode::kPermissionDenied);
  EXPECT_EQ(connect(kOther, "", "a")->getValue(id).status.code(), ErrorCode::kNotFound);
  // Its space is the tenant's.
  const auto usage = plain->stats()->tenants;
  ASSERT_EQ(usage.size(), 1u);
  EXPECT_EQ(usage[0].entries, 1u);
  EXPECT_EQ(*a->removeAll(std::nullopt), 1u);
}

TEST_F(AccessControl, SaltsOfAnyBytesUpToALength) {
  EXPECT_TRUE(connect(kWriter, "", std::string(512, '\0'))->ping().ok());
  auto config = server_->config();
  config.salt = std::string(513, 'x');
  const Status refused = client::BlockingClient::start(config).status();
  EXPECT_EQ(refused.code(), ErrorCode::kInvalidArgument);
  EXPECT_NE(refused.message().find("salt"), std::string::npos) << refused.message();
}

TEST_F(AccessControl, ChunksNeedAModelOrAdmin) {
  const auto stream = sampleStream(1, 64, codec::fingerprintOf(sampleModel("x")));
  EXPECT_EQ(connect(kWriter)->store(stream.buffer(), codec::PutMode::kIfAbsent).status.code(),
            ErrorCode::kPermissionDenied);
  EXPECT_TRUE(connect(kAdmin)->store(stream.buffer(), codec::PutMode::kIfAbsent).status.ok());
  EXPECT_TRUE(connect(kWriter, "x")->open(stream.id).status.ok());
  EXPECT_EQ(connect(kReader)->getValue(stream.id).status.code(), ErrorCode::kPermissionDenied);
}

TEST_F(AccessControl, AnotherModelsChunkIsRefusedByName) {
  auto client = connect(kWriter, "x");
  const auto ours = sampleStream(1, 64, codec::fingerprintOf(sampleModel("x")));
  const auto theirs = sampleStream(1, 64, codec::fingerprintOf(sampleModel("y")));
  EXPECT_TRUE(client->store(ours.buffer(), codec::PutMode::kIfAbsent).status.ok());
  const auto refused = client->store(theirs.buffer(), codec::PutMode::kIfAbsent);
  EXPECT_EQ(refused.status.code(), ErrorCode::kInvalidArgument);
  EXPECT_NE(refused.status.message().find("another model's fingerprint"), std::string::npos)
      << refused.status.message();
  ASSERT_TRUE(connect(kAdmin)->store(theirs.buffer(), codec::PutMode::kIfAbsent).status.ok());
  for (const Status& status : {client->open(theirs.id).status, client->fetch(theirs.id, {}).status,
                               client->getValue(theirs.id).status}) {
    EXPECT_EQ(status.code(), ErrorCode::kInvalidArgument) << status.toString();
  }
}

TEST_F(AccessControl, ModelNamesKeepTheirMeaningAcrossRestarts) {
  ASSERT_EQ(connect(kReader, "x")->ping().status().code(), ErrorCode::kPermissionDenied);
  ASSERT_TRUE(connect(kWriter, "x")->ping().ok());
  EXPECT_TRUE(connect(kReader, "x")->ping().ok());
  ASSERT_EQ(server_->stop(), 0);
  server_ = std::make_unique<ServerProcess>(
      directory_.path(),
      std::vector<std::string>{"--token-file", (directory_.path() / "tokens").string()});
  ASSERT_TRUE(server_->ready()) << server_->errors();
  EXPECT_TRUE(connect(kReader, "x")->ping().ok());
  const auto changed = connect(kWriter, "changed")->ping().status();
  EXPECT_EQ(changed.code(), ErrorCode::kInvalidArgument);
  EXPECT_NE(changed.message().find("weights"), std::string::npos) << changed.message();
  EXPECT_EQ(changed.message().find("tokenizer"), std::string::npos) << changed.message();
  EXPECT_TRUE(connect(kOther, "changed")->ping().ok()) << "names are per tenant";
}

TEST(TokenFileAtStart, OthersMustNotReadIt) {
  TemporaryDirectory directory;
  const auto tokens = directory.path() / "tokens";
  writeText(tokens, "team read,write 0123456789abcdef\n");
  std::filesystem::permissions(tokens, std::filesystem::perms(0644));
  ServerProcess server(directory.path(), {"--token-file", tokens.string()});
  EXPECT_FALSE(server.ready());
  EXPECT_EQ(server.end(), 1);
  EXPECT_NE(server.errors().find(tokens.string()), std::string::npos) << server.errors();
}

}  // namespace
}  // namespace spolia::test
