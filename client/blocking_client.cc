#include "client/blocking_client.h"

#include <utility>

namespace spolia::client {

Result<std::unique_ptr<BlockingClient>> BlockingClient::start(const ClientConfig& config) {
  SPOLIA_ASSIGN_OR_RETURN(auto client, QueuedClient::start(config));
  return std::unique_ptr<BlockingClient>(new BlockingClient(std::move(client)));
}

codec::ChunkCompletion BlockingClient::open(const ChunkId& id) {
  codec::ChunkQueue queue;
  client_->submitOpen(id, 0, queue);
  return queue.waitPop();
}

codec::ChunkCompletion BlockingClient::fetch(const ChunkId& id, const codec::KvRange& range) {
  codec::ChunkQueue queue;
  client_->submitFetch(id, range, 0, queue);
  return queue.waitPop();
}

codec::ChunkCompletion BlockingClient::store(AlignedBuffer stream, codec::PutOptions put) {
  codec::ChunkQueue queue;
  client_->submitStore(std::move(stream), put, 0, queue);
  return queue.waitPop();
}

codec::ChunkCompletion BlockingClient::remove(const ChunkId& id) {
  codec::ChunkQueue queue;
  client_->submitRemove(id, 0, queue);
  return queue.waitPop();
}

codec::ChunkCompletion BlockingClient::putValue(ValueToPut value) {
  codec::ChunkQueue queue;
  client_->submitPutValue(std::move(value), 0, queue);
  return queue.waitPop();
}

codec::ChunkCompletion BlockingClient::getValue(const ChunkId& id) {
  codec::ChunkQueue queue;
  client_->submitGetValue(id, 0, queue);
  return queue.waitPop();
}

}  // namespace spolia::client
