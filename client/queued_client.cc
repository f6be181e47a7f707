#include "client/queued_client.h"

#include <kj/async-unix.h>

#include <algorithm>
#include <future>
#include <map>
#include <utility>

#include "client/protocol/errors.h"
#include "client/protocol/kj_queue.h"

namespace spolia::client {
namespace {

template <typename T>
T cancelled() {
  const Status status(ErrorCode::kCancelled, "the client is closing");
  if constexpr (std::is_same_v<T, codec::ChunkCompletion>) {
    codec::ChunkCompletion completion;
    completion.status = status;
    return completion;
  } else {
    return status;
  }
}

// The answer a request is owed: given with pay(), or kCancelled when nobody can give it any more.
// Shared by whatever may still pay.
template <typename T>
class Owed {
 public:
  explicit Owed(std::function<void(T)> done) : done_(std::move(done)) {}
  ~Owed() { pay(cancelled<T>()); }
  Owed(const Owed&) = delete;
  Owed& operator=(const Owed&) = delete;

  void pay(T answer) {
    if (done_ == nullptr) return;
    // What `done` refers to may be gone as soon as its owner has seen the answer.
    const auto done = std::exchange(done_, nullptr);
    done(std::move(answer));
  }

 private:
  std::function<void(T)> done_;
};

// Answers into a queue.
QueuedClient::Done into(codec::ChunkQueue& queue, uint64_t cookie) {
  return [&queue, cookie](codec::ChunkCompletion completion) {
    completion.cookie = cookie;
    queue.push(std::move(completion));
  };
}

}  // namespace

// The thread's event loop: the client, and the answers it owes.
class QueuedClient::Loop final : public kj::TaskSet::ErrorHandler {
 public:
  Loop(kj::AsyncIoContext& io, const ClientConfig& config, CompletionQueue<Command>& mailbox)
      : timer_(io.provider->getTimer()),
        client_(io.provider->getNetwork(), timer_, config),
        tasks_(*this),
        stop_(kj::newPromiseAndFulfiller<void>()),
        drain_(io.unixEventPort, mailbox, [this](auto commands) { take(std::move(commands)); }) {}

  kj::Promise<void> run() { return drain_.run().exclusiveJoin(kj::mv(stop_.promise)); }
  Client& client() { return client_; }
  void add(kj::Promise<void> task) { tasks_.add(kj::mv(task)); }
  kj::Promise<void> after(std::chrono::nanoseconds time) {
    return timer_.afterDelay(std::max<int64_t>(time.count(), 0) * kj::NANOSECONDS);
  }
  std::map<uint64_t, kj::Own<HeldLease>>& leases() { return leases_; }

 private:
  void take(std::vector<Command> commands) {
    std::vector<FetchItem> reads;
    for (Command& command : commands) {
      if (command.read) {
        reads.push_back(std::move(*command.read));
      } else if (command.act) {
        command.act(*this);
      } else {
        stop_.fulfiller->fulfill();
      }
    }
    if (!reads.empty()) client_.fetch(std::move(reads));
  }
  // Whoever waited is told by the destructor of what was owed.
  void taskFailed(kj::Exception&&) override {}

  kj::Timer& timer_;
  Client client_;
  std::map<uint64_t, kj::Own<HeldLease>> leases_;
  kj::TaskSet tasks_;  // of promises of the client: goes first
  kj::PromiseFulfillerPair<void> stop_;
  protocol::KjQueueDrain<Command> drain_;
};

Result<std::unique_ptr<QueuedClient>> QueuedClient::start(const ClientConfig& config) {
  SPOLIA_RETURN_IF_ERROR(config.validate());
  return std::unique_ptr<QueuedClient>(new QueuedClient(config));
}

QueuedClient::QueuedClient(const ClientConfig& config) : thread_([this, config] { run(config); }) {}

QueuedClient::~QueuedClient() {
  finish();
}

void QueuedClient::finish() {
  if (!thread_.joinable()) return;
  mailbox_.push({std::nullopt, nullptr});
  thread_.join();
}

void QueuedClient::run(const ClientConfig& config) {
  try {
    auto io = kj::setupAsyncIo();
    Loop loop(io, config, mailbox_);
    loop.run().wait(io.waitScope);
    return;
  } catch (const kj::Exception&) {
    // No descriptors for an event loop: every request is answered as cancelled.
  }
  while (true) {
    const Command command = mailbox_.waitPop();
    if (!command.read && !command.act) return;
  }
}

void QueuedClient::post(Done done, std::function<Client::Completion(Client&)> ask) {
  auto owed = std::make_shared<Owed<codec::ChunkCompletion>>(std::move(done));
  mailbox_.push({std::nullopt, [owed, ask = std::move(ask)](Loop& loop) {
                   loop.add(ask(loop.client()).then([owed](codec::ChunkCompletion completion) {
                     owed->pay(std::move(completion));
                   }));
                 }});
}

template <typename T>
void QueuedClient::postCall(std::function<void(Result<T>)> done,
                            std::function<Client::Reply<T>(Client&)> ask) {
  auto owed = std::make_shared<Owed<Result<T>>>(std::move(done));
  mailbox_.push({std::nullopt, [owed, ask = std::move(ask)](Loop& loop) {
                   loop.add(ask(loop.client()).then([owed](Result<T> result) {
                     owed->pay(std::move(result));
                   }));
                 }});
}

template <typename T>
Result<T> QueuedClient::wait(std::function<Client::Reply<T>(Client&)> ask) {
  auto promise = std::make_shared<std::promise<Result<T>>>();
  auto future = promise->get_future();
  postCall<T>([promise](Result<T> result) { promise->set_value(std::move(result)); },
              std::move(ask));
  return future.get();
}

void QueuedClient::submitOpen(const ChunkId& id, Done done) {
  post(std::move(done), [id](Client& client) { return client.open(id); });
}

void QueuedClient::submitFetch(const ChunkId& id, const codec::KvRange& range, Done done) {
  auto owed = std::make_shared<Owed<codec::ChunkCompletion>>(std::move(done));
  FetchItem item{id, range,
                 [owed](codec::ChunkCompletion completion) { owed->pay(std::move(completion)); }};
  mailbox_.push({std::move(item), nullptr});
}

void QueuedClient::submitStore(AlignedBuffer stream, codec::PutOptions put, Done done) {
  auto bytes = std::make_shared<AlignedBuffer>(std::move(stream));
  post(std::move(done),
       [bytes, put](Client& client) { return client.store(std::move(*bytes), put); });
}

void QueuedClient::submitRemove(const ChunkId& id, Done done) {
  post(std::move(done), [id](Client& client) { return client.remove(id); });
}

void QueuedClient::submitGetValue(const ChunkId& id, Done done) {
  post(std::move(done), [id](Client& client) { return client.getValue(id); });
}

void QueuedClient::callAt(std::chrono::steady_clock::time_point time, std::function<void()> ring) {
  mailbox_.push({std::nullopt, [time, ring = std::move(ring)](Loop& loop) {
                   const auto left = time - std::chrono::steady_clock::now();
                   loop.add(loop.after(left).then([ring] { ring(); }));
                 }});
}

void QueuedClient::submitLookup(std::span<const ChunkId> ids,
                                std::function<void(Result<LookupPage>)> done, LookupFor why) {
  postCall<LookupPage>(std::move(done), [ids = std::vector<ChunkId>(ids.begin(), ids.end()),
                                         why](Client& client) { return client.lookup(ids, why); });
}

void QueuedClient::submitOpen(const ChunkId& id, uint64_t cookie, codec::ChunkQueue& queue) {
  submitOpen(id, into(queue, cookie));
}

void QueuedClient::submitFetch(const ChunkId& id, const codec::KvRange& range, uint64_t cookie,
                               codec::ChunkQueue& queue) {
  submitFetch(id, range, into(queue, cookie));
}

void QueuedClient::submitStore(AlignedBuffer stream, codec::PutOptions put, uint64_t cookie,
                               codec::ChunkQueue& queue) {
  submitStore(std::move(stream), put, into(queue, cookie));
}

void QueuedClient::submitRemove(const ChunkId& id, uint64_t cookie, codec::ChunkQueue& queue) {
  submitRemove(id, into(queue, cookie));
}

void QueuedClient::submitPutManifest(const ChunkId& id, const std::string& label,
                                     AlignedBuffer bytes, uint64_t cookie,
                                     codec::ChunkQueue& queue) {
  ValueToPut value;
  value.id = id;
  value.kind = codec::EntryKind::kManifest;
  value.label = label;
  value.bytes = std::move(bytes);
  submitPutValue(std::move(value), cookie, queue);
}

void QueuedClient::submitPutValue(ValueToPut value, uint64_t cookie, codec::ChunkQueue& queue) {
  auto put = std::make_shared<ValueToPut>(std::move(value));
  post(into(queue, cookie), [put](Client& client) { return client.putValue(std::move(*put)); });
}

void QueuedClient::submitGetValue(const ChunkId& id, uint64_t cookie, codec::ChunkQueue& queue) {
  submitGetValue(id, into(queue, cookie));
}

Result<QueuedClient::Leased> QueuedClient::lease(std::span<const ChunkId> ids, uint64_t ttlMs) {
  auto promise = std::make_shared<std::promise<Result<Leased>>>();
  auto owed = std::make_shared<Owed<Result<Leased>>>(
      [promise](Result<Leased> result) { promise->set_value(std::move(result)); });
  mailbox_.push(
      {std::nullopt, [owed, number = nextLease_++, ttlMs,
                      ids = std::vector<ChunkId>(ids.begin(), ids.end())](Loop& loop) {
         loop.add(
             loop.client().lease(ids, ttlMs).then([owed, number, &loop](Result<LeasePage> page) {
               if (!page.ok()) return owed->pay(page.status());
               Leased out{std::move(page->found), number, page->lease->lengthMs};
               loop.leases()[number] = kj::mv(page->lease);
               owed->pay(std::move(out));
             }));
       }});
  return promise->get_future().get();
}

void QueuedClient::endLease(uint64_t lease) {
  mailbox_.push({std::nullopt, [lease](Loop& loop) { loop.leases().erase(lease); }});
}

Result<uint64_t> QueuedClient::removeAll(std::optional<codec::EntryKind> kind) {
  return wait<uint64_t>([kind](Client& client) { return client.removeAll(kind); });
}

Result<LookupPage> QueuedClient::lookup(std::span<const ChunkId> ids, LookupFor why) {
  return wait<LookupPage>([ids = std::vector<ChunkId>(ids.begin(), ids.end()),
                           why](Client& client) { return client.lookup(ids, why); });
}

Result<codec::EntryPage> QueuedClient::list(codec::EntryKind kind, const std::string& cursor,
                                            size_t limit) {
  return wait<codec::EntryPage>(
      [kind, cursor, limit](Client& client) { return client.list(kind, cursor, limit); });
}

Result<codec::StoreStats> QueuedClient::stats() {
  return wait<codec::StoreStats>([](Client& client) { return client.stats(); });
}

Result<PingReply> QueuedClient::ping() {
  return wait<PingReply>([](Client& client) { return client.ping(); });
}

}  // namespace spolia::client
