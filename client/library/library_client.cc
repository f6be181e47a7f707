#include "client/library/library_client.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <future>
#include <new>
#include <system_error>
#include <utility>

namespace spolia::client {
namespace {

// Threads that are started while it lives take no signals: those are the process's own affair.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

// Submits and waits for the one answer.
template <typename Submit>
codec::ChunkCompletion answerOf(const Submit& submit) {
  auto promise = std::make_shared<std::promise<codec::ChunkCompletion>>();
  auto future = promise->get_future();
  submit([promise](codec::ChunkCompletion done) { promise->set_value(std::move(done)); });
  return future.get();
}

// Computes on the memory of a request and completes it.
template <typename Work>
void compute(PendingRequest& request, const Work& work) {
  if (!request.begin()) return;
  spolia_result result{};
  const Status status = guarded([&] {
    result = work();
    return Status();
  });
  request.pay(status.ok() ? result : resultOf(status));
}

Status lateProfile() {
  return {ErrorCode::kDeadlineExceeded, "no answer in the time for the fetch"};
}

}  // namespace

Status caught() noexcept {
  try {
    throw;
  } catch (const std::bad_alloc&) {
    return {ErrorCode::kResourceExhausted, "no memory"};
  } catch (const std::system_error& e) {
    return {ErrorCode::kResourceExhausted, e.what()};
  } catch (const std::exception& e) {
    return {ErrorCode::kInternal, e.what()};
  } catch (...) {
    return {ErrorCode::kInternal, "an exception of unknown type"};
  }
}

LibraryClient::LibraryClient(const ClientConfig& config)
    : config_(config), profiles_([this](const ChunkId& id, QueuedClient::Done done) {
        net_->submitGetValue(id, std::move(done));
      }) {}

Result<std::unique_ptr<LibraryClient>> LibraryClient::open(const ClientConfig& config,
                                                           size_t workers) {
  std::unique_ptr<LibraryClient> client(new LibraryClient(config));
  const SignalsBlocked blocked;
  SPOLIA_ASSIGN_OR_RETURN(client->net_, QueuedClient::start(config));
  client->workers_ = std::make_unique<WorkerPool>(workers);
  return client;
}

LibraryClient::~LibraryClient() {
  table_->cancelAll();
  // The workers use the client; the client's last answers find their requests completed.
  if (workers_ != nullptr) workers_->finish();
  if (net_ != nullptr) net_->finish();
}

ModelFingerprint LibraryClient::fingerprint() const {
  return config_.model ? codec::fingerprintOf(config_.model->descriptor) : ModelFingerprint{};
}

Status LibraryClient::registerModel(const ModelName& model) {
  // A session is for one model: another one gets a connection of its own, for this call.
  ClientConfig config = config_;
  config.model = model;
  const SignalsBlocked blocked;
  SPOLIA_ASSIGN_OR_RETURN(const auto other, QueuedClient::start(config));
  return other->ping().status();
}

codec::ChunkCompletion LibraryClient::openHeader(const ChunkId& id) {
  return answerOf([&](QueuedClient::Done done) { net_->submitOpen(id, std::move(done)); });
}

codec::ChunkCompletion LibraryClient::remove(const ChunkId& id) {
  return answerOf([&](QueuedClient::Done done) { net_->submitRemove(id, std::move(done)); });
}

spolia_result LibraryClient::store(const StoreOrder& order) {
  auto stream = order.encode();
  if (!stream.ok()) return resultOf(stream.status());
  return order.result(answerOf([&](QueuedClient::Done done) {
    net_->submitStore(std::move(*stream), order.put, std::move(done));
  }));
}

LibraryClient::Time LibraryClient::fetchEnd() const {
  const auto budget = config_.fetchBudget.count() == 0
                          ? config_.callTimeout
                          : std::min(config_.callTimeout, config_.fetchBudget);
  return std::chrono::steady_clock::now() + budget;
}

Result<FetchOrder::Profile> LibraryClient::awaitProfile(const FetchOrder& order,
                                                        const codec::ChunkCompletion& done,
                                                        Time end) {
  const std::optional<Sha256Digest> needed = order.profileOf(done);
  if (!needed) return FetchOrder::Profile();
  auto promise = std::make_shared<std::promise<std::shared_ptr<FetchedProfile>>>();
  auto future = promise->get_future();
  const uint64_t number =
      profiles_.find(*needed, [promise](auto fetched) { promise->set_value(std::move(fetched)); });
  if (future.wait_until(end) != std::future_status::ready) profiles_.giveUp(number, lateProfile());
  return future.get()->parsed();
}

spolia_result LibraryClient::fetch(const FetchOrder& order) {
  const auto end = fetchEnd();
  const codec::ChunkCompletion answer = answerOf(
      [&](QueuedClient::Done done) { net_->submitFetch(order.id, order.range, std::move(done)); });
  return order.decode(answer, awaitProfile(order, answer, end));
}

uint64_t LibraryClient::launch(Target to, const std::function<void(const Pending&)>& begin) {
  const Pending request = PendingRequest::start(std::move(to.queue), table_, to.cookie);
  // What fails from here on is the request's answer.
  const Status status = guarded([&] {
    begin(request);
    return Status();
  });
  if (!status.ok()) request->pay(resultOf(status));
  return request->ticket();
}

uint64_t LibraryClient::submitStore(StoreOrder order, Target to) {
  return launch(std::move(to), [&](const Pending& request) {
    workers_->push([this, request, order = std::move(order)] { encodeAndSend(request, order); });
  });
}

void LibraryClient::encodeAndSend(const Pending& request, const StoreOrder& order) {
  if (!request->begin()) return;
  const Status status = guarded([&]() -> Status {
    SPOLIA_ASSIGN_OR_RETURN(AlignedBuffer stream, order.encode());
    if (!request->rest()) return {};
    net_->submitStore(
        std::move(stream), order.put,
        [request, order](const codec::ChunkCompletion& done) { request->pay(order.result(done)); });
    return {};
  });
  if (!status.ok()) request->pay(resultOf(status));
}

uint64_t LibraryClient::submitFetch(FetchOrder given, Target to) {
  const auto order = std::make_shared<const FetchOrder>(std::move(given));
  return launch(std::move(to), [&](const Pending& request) {
    net_->submitFetch(order->id, order->range,
                      [this, request, order, end = fetchEnd()](codec::ChunkCompletion done) {
                        decodeLater(request, order, std::move(done), end);
                      });
  });
}

void LibraryClient::decodeLater(const Pending& request,
                                const std::shared_ptr<const FetchOrder>& order,
                                codec::ChunkCompletion done, Time end) {
  const auto answer = std::make_shared<const codec::ChunkCompletion>(std::move(done));
  if (!answer->status.ok()) return request->pay(order->decode(*answer, FetchOrder::Profile()));
  const std::optional<Sha256Digest> needed = order->profileOf(*answer);
  if (!needed) {
    return workers_->push([request, order, answer] {
      compute(*request, [&] { return order->decode(*answer, FetchOrder::Profile()); });
    });
  }
  const auto ready = [this, request, order, answer](std::shared_ptr<FetchedProfile> profile) {
    if (profile->failed()) return request->pay(order->decode(*answer, profile->parsed()));
    workers_->push([request, order, answer, profile] {
      compute(*request, [&] { return order->decode(*answer, profile->parsed()); });
    });
  };
  const uint64_t number = profiles_.find(*needed, ready);
  if (number == 0) return;
  net_->callAt(end, [this, number] { profiles_.giveUp(number, lateProfile()); });
}

uint64_t LibraryClient::submitLookup(std::vector<ChunkId> given, spolia_entry* entries, Target to) {
  const auto ids = std::make_shared<const std::vector<ChunkId>>(std::move(given));
  return launch(std::move(to), [&](const Pending& request) {
    net_->submitLookup(*ids, [request, ids, entries](const Result<LookupPage>& page) {
      if (!page.ok()) return request->pay(resultOf(page.status()));
      compute(*request, [&] {
        for (size_t i = 0; i < ids->size(); ++i) {
          entries[i] = giveEntry((*ids)[i], page->entries[i]);
        }
        spolia_result result = resultOf(Status());
        result.prefix = page->prefix;
        return result;
      });
    });
  });
}

Status LibraryClient::cancel(uint64_t ticket) {
  const auto request = table_->find(ticket);
  if (request == nullptr) return {ErrorCode::kNotFound, "the request has completed"};
  request->cancel();
  return {};
}

}  // namespace spolia::client
