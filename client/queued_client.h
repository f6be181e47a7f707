// QueuedClient: a Client on a thread of its own, for those without a KJ event loop. submit* return
// at once and complete into the caller's queue exactly once each, in the forms told by
// codec/chunk_exchange.h; with the same signatures as engine/linker/kv_source.h. Reads submitted
// while the thread is busy travel together, so many small ones cost few round trips. The forms
// with `Done` call it, once, on the client's thread: it neither waits nor throws.
//
// Threads: any. Queues outlive their requests. The destructor cancels what is not answered: it
// completes with kCancelled. A server that cannot be reached is kUnavailable, one that does not
// answer kDeadlineExceeded, both in bounded time (see client/client.h).
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>

#include "client/client.h"
#include "client/client_config.h"
#include "codec/chunk_exchange.h"

namespace spolia::client {

class QueuedClient {
 public:
  // Does not connect yet. kInvalidArgument for a bad configuration.
  static Result<std::unique_ptr<QueuedClient>> start(const ClientConfig& config);
  ~QueuedClient();
  QueuedClient(const QueuedClient&) = delete;
  QueuedClient& operator=(const QueuedClient&) = delete;

  // What the destructor does, for those whose answers still use the client.
  void finish();

  using Done = std::function<void(codec::ChunkCompletion)>;
  void submitOpen(const ChunkId& id, Done done);
  void submitFetch(const ChunkId& id, const codec::KvRange& range, Done done);
  void submitStore(AlignedBuffer stream, codec::PutOptions put, Done done);
  void submitRemove(const ChunkId& id, Done done);
  void submitGetValue(const ChunkId& id, Done done);
  void submitLookup(std::span<const ChunkId> ids, std::function<void(Result<LookupPage>)> done,
                    LookupFor why = LookupFor::kKnowing);

  void submitOpen(const ChunkId& id, uint64_t cookie, codec::ChunkQueue& queue);
  void submitFetch(const ChunkId& id, const codec::KvRange& range, uint64_t cookie,
                   codec::ChunkQueue& queue);
  void submitStore(AlignedBuffer stream, codec::PutOptions put, uint64_t cookie,
                   codec::ChunkQueue& queue);
  void submitRemove(const ChunkId& id, uint64_t cookie, codec::ChunkQueue& queue);
  void submitPutManifest(const ChunkId& id, const std::string& label, AlignedBuffer bytes,
                         uint64_t cookie, codec::ChunkQueue& queue);
  void submitPutValue(ValueToPut value, uint64_t cookie, codec::ChunkQueue& queue);
  void submitGetValue(const ChunkId& id, uint64_t cookie, codec::ChunkQueue& queue);

  // Calls `ring` on the client's thread when that time has come, not at all when the client goes
  // before; it neither waits nor throws.
  void callAt(std::chrono::steady_clock::time_point time, std::function<void()> ring);

  // A lease by a number: it lasts until endLease, until the connection breaks, or `lengthMs`.
  struct Leased {
    LookupPage found;
    uint64_t lease = 0;
    uint64_t lengthMs = 0;
  };
  // Does not wait. Nothing happens when it has ended.
  void endLease(uint64_t lease);

  // Blocking.
  Result<Leased> lease(std::span<const ChunkId> ids, uint64_t ttlMs);
  Result<uint64_t> removeAll(std::optional<codec::EntryKind> kind);
  Result<LookupPage> lookup(std::span<const ChunkId> ids, LookupFor why = LookupFor::kKnowing);
  Result<codec::EntryPage> list(codec::EntryKind kind, const std::string& cursor, size_t limit);
  Result<codec::StoreStats> stats();
  Result<PingReply> ping();

 private:
  class Loop;
  // What the thread is to do: a read, which is put together with its neighbours, or anything else.
  // Neither: stop.
  struct Command {
    std::optional<FetchItem> read;
    std::function<void(Loop&)> act;
  };
  explicit QueuedClient(const ClientConfig& config);
  void run(const ClientConfig& config);
  void post(Done done, std::function<Client::Completion(Client&)> ask);
  template <typename T>
  void postCall(std::function<void(Result<T>)> done, std::function<Client::Reply<T>(Client&)> ask);
  template <typename T>
  Result<T> wait(std::function<Client::Reply<T>(Client&)> ask);

  CompletionQueue<Command> mailbox_;
  std::atomic<uint64_t> nextLease_{1};
  std::thread thread_;
};

}  // namespace spolia::client
