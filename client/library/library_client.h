// LibraryClient: what a handle of the C interface is made of: a client with its thread, workers for
// submitted requests, and the table of those. Blocking calls compute on the caller's thread.
// Threads: any, but the destructor, which runs alone; it cancels what was submitted.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "client/library/kv_order.h"
#include "client/library/profile_cache.h"
#include "client/library/request_queue.h"
#include "client/library/worker_pool.h"
#include "client/queued_client.h"

namespace spolia::client {

class LibraryClient {
 public:
  // Neither waits nor connects.
  static Result<std::unique_ptr<LibraryClient>> open(const ClientConfig& config, size_t workers);
  ~LibraryClient();
  LibraryClient(const LibraryClient&) = delete;
  LibraryClient& operator=(const LibraryClient&) = delete;

  // Zero without a model.
  ModelFingerprint fingerprint() const;
  bool hasModel() const { return config_.model.has_value(); }
  QueuedClient& net() { return *net_; }

  Status registerModel(const ModelName& model);
  codec::ChunkCompletion openHeader(const ChunkId& id);
  codec::ChunkCompletion remove(const ChunkId& id);
  spolia_result store(const StoreOrder& order);
  spolia_result fetch(const FetchOrder& order);

  // What a request is told by: where it completes, and its cookie.
  struct Target {
    std::shared_ptr<RequestQueue> queue;
    uint64_t cookie = 0;
  };
  // Each gives the ticket.
  uint64_t submitStore(StoreOrder order, Target to);
  uint64_t submitFetch(FetchOrder order, Target to);
  uint64_t submitLookup(std::vector<ChunkId> ids, spolia_entry* entries, Target to);
  // kNotFound when it has completed.
  Status cancel(uint64_t ticket);

 private:
  explicit LibraryClient(const ClientConfig& config);
  using Pending = std::shared_ptr<PendingRequest>;
  using Time = std::chrono::steady_clock::time_point;
  // When a fetch that begins now has waited long enough.
  Time fetchEnd() const;
  uint64_t launch(Target to, const std::function<void(const Pending&)>& begin);
  void encodeAndSend(const Pending& request, const StoreOrder& order);
  // Null for an answer that needs none.
  Result<FetchOrder::Profile> awaitProfile(const FetchOrder& order,
                                           const codec::ChunkCompletion& done, Time end);
  // On the client's thread: has the workers decode an answer once its profile is at hand.
  void decodeLater(const Pending& request, const std::shared_ptr<const FetchOrder>& order,
                   codec::ChunkCompletion done, Time end);

  const ClientConfig config_;
  const std::shared_ptr<RequestTable> table_ = std::make_shared<RequestTable>();
  ProfileCache profiles_;
  std::unique_ptr<WorkerPool> workers_;
  // Its answers use the others: goes first.
  std::unique_ptr<QueuedClient> net_;
};

// What is being caught, as a Status; only inside a handler.
Status caught() noexcept;

// `body`'s failure, or what it threw. A template: wrapping a body might itself want memory.
template <typename Body>
Status guarded(const Body& body) noexcept {
  try {
    return body();
  } catch (...) {
    return caught();
  }
}

}  // namespace spolia::client
