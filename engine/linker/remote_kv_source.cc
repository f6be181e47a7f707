#include "engine/linker/remote_kv_source.h"

#include <fstream>
#include <utility>

#include "client/queued_client.h"
#include "codec/base/bytes.h"
#include "codec/base/digest.h"

namespace spolia::engine {

namespace {

class RemoteKvSource : public SaltableKvSource {
 public:
  RemoteKvSource(client::ClientConfig config, std::unique_ptr<client::QueuedClient> client,
                 uint64_t ttlSeconds)
      : config_(std::move(config)), client_(std::move(client)), ttlSeconds_(ttlSeconds) {}

  std::unique_ptr<KvSource> salted(std::string_view salt) override {
    client::ClientConfig config = config_;
    // A digest: salts of any length are good, and the server learns none of them.
    config.salt = std::string(asText(sha256(asBytes(salt))));
    auto client = client::QueuedClient::start(config);
    SPOLIA_CHECK(client.ok());  // the configuration was good without the salt
    return std::make_unique<RemoteKvSource>(std::move(config), *std::move(client), ttlSeconds_);
  }

  void submitOpen(const ChunkId& id, uint64_t cookie, codec::ChunkQueue& queue) override {
    client_->submitOpen(id, cookie, queue);
  }
  void submitFetch(const ChunkId& id, const codec::KvRange& range, uint64_t cookie,
                   codec::ChunkQueue& queue) override {
    client_->submitFetch(id, range, cookie, queue);
  }
  void submitStore(AlignedBuffer stream, codec::PutMode mode, uint64_t cookie,
                   codec::ChunkQueue& queue) override {
    client_->submitStore(std::move(stream), {mode, ttlSeconds_}, cookie, queue);
  }
  void submitRemove(const ChunkId& id, uint64_t cookie, codec::ChunkQueue& queue) override {
    client_->submitRemove(id, cookie, queue);
  }
  void submitPutValue(ValueToStore value, uint64_t cookie, codec::ChunkQueue& queue) override {
    client::ValueToPut put;
    put.id = value.id;
    put.kind = value.kind;
    put.label = std::move(value.label);
    put.bytes = std::move(value.bytes);
    put.mode = value.mode;
    put.ttlSeconds = lifetimeOf(value.kind, ttlSeconds_);
    client_->submitPutValue(std::move(put), cookie, queue);
  }
  void submitGetValue(const ChunkId& id, uint64_t cookie, codec::ChunkQueue& queue) override {
    client_->submitGetValue(id, cookie, queue);
  }
  Result<codec::EntryPage> list(codec::EntryKind kind, const std::string& cursor,
                                size_t limit) override {
    return client_->list(kind, cursor, limit);
  }
  Result<codec::StoreStats> stats() override { return client_->stats(); }

 private:
  const client::ClientConfig config_;
  std::unique_ptr<client::QueuedClient> client_;
  const uint64_t ttlSeconds_;
};

// The token, without white space around it.
Result<std::string> readToken(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::string token;
  if (!(in >> token)) {
    return Status(ErrorCode::kInvalidArgument,
                  file.string() + ": expected a file that holds a token");
  }
  return token;
}

}  // namespace

Result<std::unique_ptr<SaltableKvSource>> openRemoteKvSource(const RemoteKvConfig& config) {
  client::ClientConfig settings;
  settings.address = config.address;
  settings.model = client::ModelName{config.modelName, config.descriptor};
  if (!config.tokenFile.empty()) {
    SPOLIA_ASSIGN_OR_RETURN(settings.token, readToken(config.tokenFile));
  }
  SPOLIA_ASSIGN_OR_RETURN(std::unique_ptr<client::QueuedClient> client,
                          client::QueuedClient::start(settings));
  // Starting does not connect: the first call tells whether the server takes us.
  const Status reached = client->stats().status();
  if (!reached.ok()) return reached;
  return std::unique_ptr<SaltableKvSource>(
      std::make_unique<RemoteKvSource>(std::move(settings), std::move(client), config.ttlSeconds));
}

}  // namespace spolia::engine
