// Client: the asynchronous client on the caller's KJ event loop. Connects when first needed, and
// again when a connection breaks; a call that ran into an old connection's end is repeated once.
// Every call ends within ClientConfig::callTimeout: kUnavailable when the server cannot be reached,
// kDeadlineExceeded when it does not answer. A server that refused or vanished is asked again only
// after a pause (50 ms, doubling to 2 s); calls in between fail at once.
//
// Promises never reject: failures are in the Result or in the completion's status. Frames are not
// verified here; decodeFrame does. One event loop; it outlives the promises it gave out, and what
// is not answered when it goes is answered with kCancelled or dropped with its promise.
#pragma once

#include <kj/async-io.h>

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "client/client_config.h"
#include "client/fetch_job.h"
#include "client/header_cache.h"
#include "client/server_connection.h"

namespace spolia::client {

// A value to put: a manifest, a profile or an opaque one.
struct ValueToPut {
  ChunkId id;
  codec::EntryKind kind = codec::EntryKind::kOpaque;
  std::string label;  // at most 512 bytes
  AlignedBuffer bytes;
  codec::PutMode mode = codec::PutMode::kReplace;
  uint64_t ttlSeconds = 0;  // from when it is stored, 0: the server's default
  uint64_t expiresAt = 0;   // where ttlSeconds is 0: store clock seconds
};

// Why a lookup is made. kFetching: what is there will be fetched, in this order, so the server
// begins to read it.
enum class LookupFor : uint8_t { kKnowing, kFetching };

struct LookupPage {
  std::vector<Result<codec::EntryInfo>> entries;  // kNotFound for those that are not there
  uint32_t prefix = 0;                            // how many of the first are all there
};

// Entries that stay until the lease goes: with this object, with the connection (a reconnecting
// client does not take it along), or after lengthMs.
struct HeldLease {
  protocol::Lease::Client capability;
  uint64_t lengthMs = 0;
};

struct LeasePage {
  LookupPage found;
  kj::Own<HeldLease> lease;
};

struct PingReply {
  uint64_t epoch = 0;  // another one: the server was started again
  std::string serverVersion;
};

class Client {
 public:
  // `config` is valid.
  Client(kj::Network& network, kj::Timer& timer, ClientConfig config);
  ~Client();
  KJ_DISALLOW_COPY(Client);

  using Completion = kj::Promise<codec::ChunkCompletion>;
  template <typename T>
  using Reply = kj::Promise<Result<T>>;

  // Completions as codec/chunk_exchange.h tells, cookie 0.
  Completion open(const ChunkId& id);
  // Any number of reads in one round trip, each answered by its `done` as it comes in; also without
  // holding on to anything.
  void fetch(std::vector<FetchItem> items);
  Completion store(AlignedBuffer stream, codec::PutOptions put);
  Completion remove(const ChunkId& id);
  Completion putValue(ValueToPut value);
  // Any entry as stored; a chunk gives its whole stream.
  Completion getValue(const ChunkId& id);

  Reply<LookupPage> lookup(std::vector<ChunkId> ids, LookupFor why = LookupFor::kKnowing);
  // Lookup and lease; with `items` also a fetch of those, all in one round trip: each is answered
  // by its `done` as for fetch.
  Reply<LeasePage> lease(std::vector<ChunkId> ids, uint64_t ttlMs,
                         std::vector<FetchItem> items = {});
  // Entries of one kind, or of all. How many were removed.
  Reply<uint64_t> removeAll(std::optional<codec::EntryKind> kind);
  Reply<codec::EntryPage> list(codec::EntryKind kind, std::string cursor, size_t limit);
  Reply<codec::StoreStats> stats();
  Reply<PingReply> ping();

 private:
  struct Done {};
  template <typename T>
  using Body = std::function<Reply<T>(ServerConnection&)>;
  enum class Try { kFirst, kLast };
  // Runs `body` on a connection, within the deadline, once more if an old connection broke.
  template <typename T>
  Reply<T> call(Body<T> body, protocol::ByteBudget& slots);
  template <typename T>
  Reply<T> attempt(Body<T> body, Try which);
  kj::Promise<kj::Own<ServerConnection>> connection();
  void startConnecting();
  void forget(ServerConnection& connection);
  // After a deadline: a connection on which nothing came in since is given up.
  void suspect(kj::TimePoint since);
  // The server is told how much of the call's time is left.
  template <typename Request>
  void fillFetch(Request& request, const std::shared_ptr<FetchJob>& job, kj::TimePoint deadline);
  Reply<Done> askFrames(ServerConnection& connection, std::shared_ptr<FetchJob> job,
                        kj::TimePoint deadline);
  Completion upload(std::shared_ptr<AlignedBuffer> bytes,
                    std::function<protocol::Writer::Client(ServerConnection&)> begin);
  void run(kj::Promise<void> task);

  kj::Network& network_;
  kj::Timer& timer_;
  const ClientConfig config_;
  const ServerAddress address_;
  HeaderCache headers_;
  protocol::ByteBudget callSlots_;
  protocol::ByteBudget uploadSlots_;
  kj::Maybe<kj::Own<ServerConnection>> current_;
  kj::Maybe<kj::ForkedPromise<kj::Own<ServerConnection>>> connecting_;
  bool connectingEnded_ = false;
  Status lastFailure_;
  kj::TimePoint pauseUntil_;
  kj::Duration pause_;
  kj::Own<kj::TaskSet::ErrorHandler> taskErrors_;
  kj::TaskSet tasks_;
};

}  // namespace spolia::client
