// BlockingClient: one call at a time for a thread without an event loop; for command-line tools.
// Threads: any; each call waits for its own answer, within the config's time.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "client/queued_client.h"

namespace spolia::client {

class BlockingClient {
 public:
  // As QueuedClient::start.
  static Result<std::unique_ptr<BlockingClient>> start(const ClientConfig& config);

  // Failures are in the completion's status, absence is kNotFound.
  codec::ChunkCompletion open(const ChunkId& id);
  codec::ChunkCompletion fetch(const ChunkId& id, const codec::KvRange& range);
  codec::ChunkCompletion store(AlignedBuffer stream, codec::PutOptions put);
  codec::ChunkCompletion remove(const ChunkId& id);
  codec::ChunkCompletion putValue(ValueToPut value);
  codec::ChunkCompletion getValue(const ChunkId& id);

  Result<LookupPage> lookup(std::span<const ChunkId> ids, LookupFor why = LookupFor::kKnowing) {
    return client_->lookup(ids, why);
  }
  Result<codec::EntryPage> list(codec::EntryKind kind, const std::string& cursor, size_t limit) {
    return client_->list(kind, cursor, limit);
  }
  Result<QueuedClient::Leased> lease(std::span<const ChunkId> ids, uint64_t ttlMs) {
    return client_->lease(ids, ttlMs);
  }
  void endLease(uint64_t lease) { client_->endLease(lease); }
  Result<uint64_t> removeAll(std::optional<codec::EntryKind> kind) {
    return client_->removeAll(kind);
  }
  Result<codec::StoreStats> stats() { return client_->stats(); }
  Result<PingReply> ping() { return client_->ping(); }

 private:
  explicit BlockingClient(std::unique_ptr<QueuedClient> client) : client_(std::move(client)) {}
  std::unique_ptr<QueuedClient> client_;
};

}  // namespace spolia::client
