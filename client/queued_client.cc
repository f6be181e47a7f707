#include "client/queued_client.h"

#include <kj/async-unix.h>

#include <future>
#include <utility>

#include "client/protocol/errors.h"
#include "client/protocol/kj_queue.h"

namespace spolia::client {
namespace {

Status cancelled() {
  return {ErrorCode::kCancelled, "the client is closing"};
}

// The completion a request is owed: given with pay(), or kCancelled when nobody can give it any
// more. Shared by whatever may still pay.
class Owed {
 public:
  Owed(uint64_t cookie, codec::ChunkQueue& queue) : cookie_(cookie), queue_(&queue) {}
  ~Owed() {
    codec::ChunkCompletion completion;
    completion.status = cancelled();
    pay(std::move(completion));
  }
  Owed(const Owed&) = delete;
  Owed& operator=(const Owed&) = delete;

  void pay(codec::ChunkCompletion completion) {
    if (queue_ == nullptr) return;
    completion.cookie = cookie_;
    // The queue may be gone as soon as its owner has seen the completion.
    std::exchange(queue_, nullptr)->push(std::move(completion));
  }

 private:
  const uint64_t cookie_;
  codec::ChunkQueue* queue_;
};

// As Owed, for a thread that waits.
template <typename T>
class Awaited {
 public:
  ~Awaited() {
    if (!given_) promise_.set_value(cancelled());
  }
  void give(Result<T> result) {
    given_ = true;
    promise_.set_value(std::move(result));
  }
  std::future<Result<T>> future() { return promise_.get_future(); }

 private:
  bool given_ = false;
  std::promise<Result<T>> promise_;
};

}  // namespace

// The thread's event loop: the client, and the answers it owes.
class QueuedClient::Loop final : public kj::TaskSet::ErrorHandler {
 public:
  Loop(kj::AsyncIoContext& io, const ClientConfig& config, CompletionQueue<Command>& mailbox)
      : client_(io.provider->getNetwork(), io.provider->getTimer(), config),
        tasks_(*this),
        stop_(kj::newPromiseAndFulfiller<void>()),
        drain_(io.unixEventPort, mailbox, [this](auto commands) { take(std::move(commands)); }) {}

  kj::Promise<void> run() { return drain_.run().exclusiveJoin(kj::mv(stop_.promise)); }
  Client& client() { return client_; }
  void add(kj::Promise<void> task) { tasks_.add(kj::mv(task)); }

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

  Client client_;
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

void QueuedClient::post(uint64_t cookie, codec::ChunkQueue& queue,
                        std::function<Client::Completion(Client&)> ask) {
  auto owed = std::make_shared<Owed>(cookie, queue);
  mailbox_.push({std::nullopt, [owed, ask = std::move(ask)](Loop& loop) {
                   loop.add(ask(loop.client()).then([owed](codec::ChunkCompletion completion) {
                     owed->pay(std::move(completion));
                   }));
                 }});
}

template <typename T>
Result<T> QueuedClient::wait(std::function<Client::Reply<T>(Client&)> ask) {
  auto awaited = std::make_shared<Awaited<T>>();
  auto future = awaited->future();
  mailbox_.push({std::nullopt, [awaited, ask = std::move(ask)](Loop& loop) {
                   loop.add(ask(loop.client()).then([awaited](Result<T> result) {
                     awaited->give(std::move(result));
                   }));
                 }});
  // Held by the command alone from here on, so that dropping it ends the wait.
  awaited.reset();
  return future.get();
}

void QueuedClient::submitOpen(const ChunkId& id, uint64_t cookie, codec::ChunkQueue& queue) {
  post(cookie, queue, [id](Client& client) { return client.open(id); });
}

void QueuedClient::submitFetch(const ChunkId& id, const codec::KvRange& range, uint64_t cookie,
                               codec::ChunkQueue& queue) {
  auto owed = std::make_shared<Owed>(cookie, queue);
  FetchItem item{id, range,
                 [owed](codec::ChunkCompletion completion) { owed->pay(std::move(completion)); }};
  mailbox_.push({std::move(item), nullptr});
}

void QueuedClient::submitStore(AlignedBuffer stream, codec::PutMode mode, uint64_t cookie,
                               codec::ChunkQueue& queue) {
  auto bytes = std::make_shared<AlignedBuffer>(std::move(stream));
  post(cookie, queue,
       [bytes, mode](Client& client) { return client.store(std::move(*bytes), mode); });
}

void QueuedClient::submitRemove(const ChunkId& id, uint64_t cookie, codec::ChunkQueue& queue) {
  post(cookie, queue, [id](Client& client) { return client.remove(id); });
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
  post(cookie, queue, [put](Client& client) { return client.putValue(std::move(*put)); });
}

void QueuedClient::submitGetValue(const ChunkId& id, uint64_t cookie, codec::ChunkQueue& queue) {
  post(cookie, queue, [id](Client& client) { return client.getValue(id); });
}

Result<LookupPage> QueuedClient::lookup(std::span<const ChunkId> ids) {
  return wait<LookupPage>([ids = std::vector<ChunkId>(ids.begin(), ids.end())](Client& client) {
    return client.lookup(ids);
  });
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
