#include "client/client.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "client/protocol/errors.h"
#include "client/protocol/header_tag.h"
#include "client/protocol/wire_bytes.h"
#include "client/wire_in.h"

namespace spolia::client {
namespace {

constexpr size_t kCachedHeaders = 4096;
constexpr kj::Duration kFirstPause = 50 * kj::MILLISECONDS;
constexpr kj::Duration kLongestPause = 2 * kj::SECONDS;

class Ignore final : public kj::TaskSet::ErrorHandler {
  // Tasks turn their failures into answers before they get here.
  void taskFailed(kj::Exception&&) override {}
};

codec::ChunkCompletion failed(Status status) {
  codec::ChunkCompletion completion;
  completion.status = std::move(status);
  return completion;
}

Client::Completion flatten(Client::Reply<codec::ChunkCompletion> reply) {
  return reply.then([](Result<codec::ChunkCompletion> result) {
    return result.ok() ? std::move(*result) : failed(result.status());
  });
}

// Sends [offset, end) in slices; the stream's flow control makes each wait for room.
kj::Promise<void> sendSlices(protocol::Writer::Client writer,
                             std::shared_ptr<const AlignedBuffer> bytes, size_t offset) {
  const ByteSpan rest = bytes->span().subspan(offset);
  if (rest.empty()) return kj::READY_NOW;
  const ByteSpan slice = rest.first(std::min(rest.size(), protocol::kSliceBytes));
  auto request = writer.writeRequest(capnp::MessageSize{slice.size() / 8 + 16, 0});
  request.setData(protocol::dataOf(slice));
  return request.send().then(
      [writer = kj::mv(writer), bytes = std::move(bytes), next = offset + slice.size()]() mutable {
        return sendSlices(kj::mv(writer), std::move(bytes), next);
      });
}

// Of a lookup or a lease.
template <typename Response>
Result<LookupPage> readFound(const Response& response, size_t count) {
  LookupPage page;
  for (auto entry : response.getEntries()) {
    switch (entry.which()) {
      case protocol::LookupAnswer::FOUND:
        page.entries.push_back(readInfo(entry.getFound()));
        break;
      case protocol::LookupAnswer::FAILED:
        page.entries.push_back(readFailure(entry.getFailed()));
        break;
      default:
        page.entries.push_back(Status(ErrorCode::kNotFound, "no such entry"));
    }
  }
  if (page.entries.size() != count || response.getPrefix() > count) {
    return Status(ErrorCode::kCorrupt, "the server answered for other ids");
  }
  page.prefix = response.getPrefix();
  return page;
}

}  // namespace

Status ClientConfig::validate() const {
  SPOLIA_RETURN_IF_ERROR(parseAddress(address).status());
  if (connectTimeout.count() <= 0 || callTimeout.count() <= 0) {
    return {ErrorCode::kInvalidArgument, "connectTimeout, callTimeout: expected more than 0 ms"};
  }
  if (fetchBudget.count() < 0) {
    return {ErrorCode::kInvalidArgument, "fetchBudget: expected 0 (none) or more ms"};
  }
  if (callsInFlight == 0 || callsInFlight > protocol::kMaxCallsInFlight || uploadsInFlight == 0) {
    return {ErrorCode::kInvalidArgument, "callsInFlight: expected 1 to 1024"};
  }
  if (token.size() > protocol::kMaxTokenBytes) {
    return {ErrorCode::kInvalidArgument, "token: expected at most 512 bytes"};
  }
  if (salt.size() > protocol::kMaxSaltBytes) {
    return {ErrorCode::kInvalidArgument, "salt: expected at most 512 bytes"};
  }
  return {};
}

Client::Client(kj::Network& network, kj::Timer& timer, ClientConfig config)
    : network_(network),
      timer_(timer),
      config_(std::move(config)),
      address_(*parseAddress(config_.address)),
      headers_(kCachedHeaders),
      callSlots_(config_.callsInFlight),
      uploadSlots_(config_.uploadsInFlight),
      pauseUntil_(timer.now()),
      pause_(kFirstPause),
      taskErrors_(kj::heap<Ignore>()),
      tasks_(*taskErrors_) {}

Client::~Client() = default;

void Client::run(kj::Promise<void> task) {
  tasks_.add(kj::mv(task));
}

kj::Promise<kj::Own<ServerConnection>> Client::connection() {
  KJ_IF_MAYBE (connection, current_) return (*connection)->addRef();
  if (connecting_ == nullptr || connectingEnded_) {
    if (timer_.now() < pauseUntil_) return protocol::toException(lastFailure_);
    startConnecting();
  }
  return KJ_ASSERT_NONNULL(connecting_).addBranch();
}

void Client::startConnecting() {
  using Connected = kj::Own<ServerConnection>;
  // The promise cannot drop itself: it is marked as ended and replaced by the next one.
  connectingEnded_ = false;
  connecting_ = ServerConnection::open(network_, timer_, address_, config_)
                    .then(
                        [this](Connected connection) -> kj::Promise<Connected> {
                          connectingEnded_ = true;
                          current_ = connection->addRef();
                          pause_ = kFirstPause;
                          return kj::mv(connection);
                        },
                        [this](kj::Exception&& e) -> kj::Promise<Connected> {
                          connectingEnded_ = true;
                          lastFailure_ = protocol::toStatus(e);
                          pauseUntil_ = timer_.now() + pause_;
                          pause_ = std::min(pause_ * 2, kLongestPause);
                          return kj::mv(e);
                        })
                    .fork();
}

void Client::forget(ServerConnection& connection) {
  connection.abandon();
  KJ_IF_MAYBE (current, current_) {
    if (current->get() == &connection) current_ = nullptr;
  }
}

void Client::suspect(kj::TimePoint since) {
  KJ_IF_MAYBE (current, current_) {
    if ((*current)->lastReceived() < since) forget(**current);
  }
}

template <typename T>
Client::Reply<T> Client::attempt(Body<T> body, Try which) {
  return connection().then(
      [this, body, which](kj::Own<ServerConnection> connection) -> Reply<T> {
        const bool old = std::exchange(connection->used, true);
        auto& on = *connection;
        // evalNow: a request that cannot even be built must not throw through here.
        auto answer = kj::evalNow([&] { return body(on); });
        return answer
            .catch_([this, body, which, old, &on](kj::Exception&& e) -> Reply<T> {
              if (e.getType() != kj::Exception::Type::DISCONNECTED) {
                return Result<T>(protocol::toStatus(e));
              }
              forget(on);
              if (old && which == Try::kFirst) return attempt<T>(body, Try::kLast);
              return Result<T>(protocol::toStatus(e).withContext(address_.text()));
            })
            .attach(kj::mv(connection));
      },
      [](kj::Exception&& e) -> Reply<T> { return Result<T>(protocol::toStatus(e)); });
}

template <typename T>
Client::Reply<T> Client::call(Body<T> body, protocol::ByteBudget& slots) {
  const kj::TimePoint asked = timer_.now();
  auto answer = slots.reserve(1).then([this, body](protocol::ByteBudget::Reservation slot) {
    return attempt<T>(body, Try::kFirst).attach(kj::mv(slot));
  });
  auto late =
      timer_.afterDelay(config_.callTimeout.count() * kj::MILLISECONDS)
          .then([this, asked]() -> Reply<T> {
            suspect(asked);
            return Result<T>(Status(ErrorCode::kDeadlineExceeded,
                                    address_.text() + ": no answer within " +
                                        std::to_string(config_.callTimeout.count()) + " ms"));
          });
  return answer.exclusiveJoin(kj::mv(late)).catch_([](kj::Exception&& e) -> Reply<T> {
    return Result<T>(protocol::toStatus(e));
  });
}

Client::Completion Client::open(const ChunkId& id) {
  return flatten(call<codec::ChunkCompletion>(
      [this, id](ServerConnection& on) {
        auto request = on.session().openRequest();
        request.setId(protocol::dataOf(id.span()));
        return request.send().then([this, id](auto response) -> Result<codec::ChunkCompletion> {
          if (!response.getFound()) return Status(ErrorCode::kNotFound, "no such entry");
          const ByteSpan bytes = protocol::bytesOf(response.getHeader());
          SPOLIA_ASSIGN_OR_RETURN(auto header, codec::parseHeader(bytes));
          if (header.chunkId != id) {
            return Status(ErrorCode::kCorrupt, "the server answered with another chunk's header");
          }
          codec::ChunkCompletion done;
          done.bytes = AlignedBuffer::copyOf(bytes);
          done.header = std::make_shared<const codec::StreamHeader>(std::move(header));
          headers_.put(id, done.header);
          return done;
        });
      },
      callSlots_));
}

template <typename Request>
void Client::fillFetch(Request& request, const std::shared_ptr<FetchJob>& job,
                       kj::TimePoint deadline) {
  std::vector<size_t> open = job->open();
  auto specs = request.initSpecs(static_cast<uint32_t>(open.size()));
  for (uint32_t i = 0; i < specs.size(); ++i) {
    const FetchItem& item = job->item(open[i]);
    specs[i].setId(protocol::dataOf(item.id.span()));
    specs[i].setLayerBegin(item.range.layerBegin);
    specs[i].setLayerEnd(item.range.layerEnd);
    specs[i].setTokenBegin(item.range.tokenBegin);
    specs[i].setTokenEnd(item.range.tokenEnd);
    specs[i].setMaxLevel(item.range.maxLevel);
    const auto known = headers_.find(item.id);
    specs[i].setKnownHeader(known == nullptr ? 0 : protocol::headerTag(*known));
  }
  // At least 1, for 0 is no deadline; the call's own timer ends what is late already.
  const auto left =
      std::clamp<int64_t>((deadline - timer_.now()) / kj::MILLISECONDS, 1, UINT32_MAX);
  request.setDeadlineMs(static_cast<uint32_t>(left));
  request.setSink(makeSink(job, std::move(open), SinkOf::kFrames));
}

Client::Reply<Client::Done> Client::askFrames(ServerConnection& on, std::shared_ptr<FetchJob> job,
                                              kj::TimePoint deadline) {
  auto request = on.session().fetchRequest();
  fillFetch(request, job, deadline);
  return request.send().then([](auto) { return Result<Done>(Done{}); });
}

// Of a fetch; the server keeps to it. Its answers take time to come, so what did come is waited for
// a fifth longer, and a server that says nothing no more than that.
Client::Reply<Client::Done> Client::withinBudget(Reply<Done> answer) {
  if (config_.fetchBudget.count() == 0) return kj::mv(answer);
  const kj::Duration patience = config_.fetchBudget.count() * 6 / 5 * kj::MILLISECONDS;
  return answer.exclusiveJoin(timer_.afterDelay(patience).then([this]() -> Reply<Done> {
    return Result<Done>(Status(ErrorCode::kDeadlineExceeded,
                               address_.text() + ": not read within " +
                                   std::to_string(config_.fetchBudget.count()) + " ms"));
  }));
}

void Client::fetch(std::vector<FetchItem> items) {
  const auto budget = config_.fetchBudget.count() == 0
                          ? config_.callTimeout
                          : std::min(config_.callTimeout, config_.fetchBudget);
  const kj::TimePoint deadline = timer_.now() + budget.count() * kj::MILLISECONDS;
  // Longer lists go out as several calls, which the server answers side by side.
  for (size_t at = 0; at < items.size(); at += protocol::kMaxFetchSpecs) {
    const size_t end = std::min<size_t>(items.size(), at + protocol::kMaxFetchSpecs);
    std::vector<FetchItem> part(std::make_move_iterator(items.begin() + static_cast<long>(at)),
                                std::make_move_iterator(items.begin() + static_cast<long>(end)));
    auto job = std::make_shared<FetchJob>(std::move(part), headers_);
    run(withinBudget(call<Done>([this, job, deadline](
                                    ServerConnection& on) { return askFrames(on, job, deadline); },
                                callSlots_))
            .then([job](Result<Done> result) {
              job->fail(result.ok() ? Status(ErrorCode::kInternal, "the server left out an answer")
                                    : result.status());
            }));
  }
}

Client::Completion Client::getValue(const ChunkId& id) {
  auto paf = kj::newPromiseAndFulfiller<codec::ChunkCompletion>();
  auto fulfiller = std::make_shared<kj::Own<kj::PromiseFulfiller<codec::ChunkCompletion>>>(
      kj::mv(paf.fulfiller));
  std::vector<FetchItem> items;
  items.push_back({id, {}, [fulfiller](codec::ChunkCompletion done) {
                     (*fulfiller)->fulfill(std::move(done));
                   }});
  auto job = std::make_shared<FetchJob>(std::move(items), headers_);
  run(call<Done>(
          [job, id](ServerConnection& on) {
            auto request = on.session().getValueRequest();
            request.setId(protocol::dataOf(id.span()));
            request.setSink(makeSink(job, {0}, SinkOf::kValue));
            return request.send().then([](auto) { return Result<Done>(Done{}); });
          },
          callSlots_)
          .then([job](Result<Done> result) {
            job->fail(result.ok() ? Status(ErrorCode::kInternal, "the server left out the answer")
                                  : result.status());
          }));
  return kj::mv(paf.promise);
}

Client::Completion Client::upload(
    std::shared_ptr<AlignedBuffer> bytes,
    std::function<protocol::Writer::Client(ServerConnection&)> begin) {
  return flatten(call<codec::ChunkCompletion>(
      [bytes = std::move(bytes), begin = std::move(begin)](ServerConnection& on) {
        // Begin, bytes and commit go out without waiting for one another.
        auto writer = begin(on);
        return sendSlices(writer, bytes, 0)
            .then([writer]() mutable { return writer.commitRequest().send(); })
            .then([](auto response) -> Result<codec::ChunkCompletion> {
              codec::ChunkCompletion done;
              done.outcome = readOutcome(response.getOutcome());
              SPOLIA_ASSIGN_OR_RETURN(done.info, readInfo(response.getInfo()));
              return done;
            });
      },
      uploadSlots_));
}

Client::Completion Client::store(AlignedBuffer stream, codec::PutOptions put) {
  const uint64_t size = stream.size();
  return upload(std::make_shared<AlignedBuffer>(std::move(stream)),
                [size, put](ServerConnection& on) {
                  auto request = on.session().storeRequest();
                  request.setSize(size);
                  request.setMode(wireMode(put.mode));
                  request.setTtlSeconds(put.ttlSeconds);
                  return request.send().getWriter();
                });
}

Client::Completion Client::putValue(ValueToPut value) {
  auto bytes = std::make_shared<AlignedBuffer>(std::move(value.bytes));
  return upload(bytes, [size = bytes->size(), id = value.id, kind = value.kind,
                        label = std::move(value.label), mode = value.mode, ttl = value.ttlSeconds,
                        expiresAt = value.expiresAt](ServerConnection& on) {
    auto request = on.session().putValueRequest();
    request.setId(protocol::dataOf(id.span()));
    request.setKind(static_cast<protocol::EntryKind>(kind));
    request.setLabel(protocol::textReader(label));
    request.setSize(size);
    request.setMode(wireMode(mode));
    request.setTtlSeconds(ttl);
    request.setExpiresAt(expiresAt);
    return request.send().getWriter();
  });
}

Client::Completion Client::remove(const ChunkId& id) {
  headers_.erase(id);
  return flatten(call<codec::ChunkCompletion>(
      [id](ServerConnection& on) {
        auto request = on.session().removeRequest();
        request.setId(protocol::dataOf(id.span()));
        return request.send().then([](auto response) -> Result<codec::ChunkCompletion> {
          if (!response.getFound()) return Status(ErrorCode::kNotFound, "no such entry");
          return codec::ChunkCompletion{};
        });
      },
      callSlots_));
}

Client::Reply<LookupPage> Client::lookup(std::vector<ChunkId> ids, LookupFor why) {
  return call<LookupPage>(
      [ids = std::move(ids), why](ServerConnection& on) {
        auto request = on.session().lookupRequest();
        request.setWillFetch(why == LookupFor::kFetching);
        auto list = request.initIds(static_cast<uint32_t>(ids.size()));
        for (uint32_t i = 0; i < list.size(); ++i) list.set(i, protocol::dataOf(ids[i].span()));
        return request.send().then(
            [count = ids.size()](auto response) { return readFound(response, count); });
      },
      callSlots_);
}

Client::Reply<LeasePage> Client::lease(std::vector<ChunkId> ids, uint64_t ttlMs,
                                       std::vector<FetchItem> items) {
  if (items.size() > protocol::kMaxFetchSpecs) {
    return Result<LeasePage>(Status(ErrorCode::kInvalidArgument, "items: more than 1024"));
  }
  const kj::TimePoint deadline = timer_.now() + config_.callTimeout.count() * kj::MILLISECONDS;
  auto job = std::make_shared<FetchJob>(std::move(items), headers_);
  return call<LeasePage>(
             [this, ids = std::move(ids), ttlMs, job, deadline](ServerConnection& on) {
               auto request = on.session().leaseRequest();
               request.setTtlMs(static_cast<uint32_t>(std::min<uint64_t>(ttlMs, UINT32_MAX)));
               auto list = request.initIds(static_cast<uint32_t>(ids.size()));
               for (uint32_t i = 0; i < list.size(); ++i) {
                 list.set(i, protocol::dataOf(ids[i].span()));
               }
               auto leased = request.send();
               kj::Promise<void> fetched = kj::READY_NOW;
               if (!job->open().empty()) {
                 auto fetch = leased.getLease().fetchRequest();
                 fillFetch(fetch, job, deadline);
                 fetched = fetch.send().ignoreResult();
               }
               return leased.then([count = ids.size(), fetched = kj::mv(fetched)](
                                      auto response) mutable -> Reply<LeasePage> {
                 auto found = readFound(response, count);
                 if (!found.ok()) return Result<LeasePage>(found.status());
                 LeasePage page{std::move(*found), kj::heap<HeldLease>(HeldLease{
                                                       response.getLease(), response.getTtlMs()})};
                 return fetched.then(
                     [page = kj::mv(page)]() mutable { return Result<LeasePage>(kj::mv(page)); });
               });
             },
             callSlots_)
      .then([job](Result<LeasePage> result) {
        job->fail(result.ok() ? Status(ErrorCode::kInternal, "the server left out an answer")
                              : result.status());
        return result;
      });
}

Client::Reply<uint64_t> Client::removeAll(std::optional<codec::EntryKind> kind) {
  return call<uint64_t>(
      [kind](ServerConnection& on) {
        auto request = on.session().removeAllRequest();
        if (kind) request.setKind(static_cast<protocol::EntryKind>(*kind));
        return request.send().then(
            [](auto response) { return Result<uint64_t>(response.getRemoved()); });
      },
      callSlots_);
}

Client::Reply<codec::EntryPage> Client::list(codec::EntryKind kind, std::string cursor,
                                             size_t limit) {
  return call<codec::EntryPage>(
      [kind, cursor = std::move(cursor), limit](ServerConnection& on) {
        auto request = on.session().listRequest();
        request.setKind(static_cast<protocol::EntryKind>(kind));
        request.setCursor(protocol::dataOf(asBytes(cursor)));
        request.setLimit(static_cast<uint32_t>(std::min<size_t>(limit, protocol::kMaxListEntries)));
        return request.send().then([](auto response) { return readPage(response); });
      },
      callSlots_);
}

Client::Reply<codec::StoreStats> Client::stats() {
  return call<codec::StoreStats>(
      [](ServerConnection& on) {
        return on.session().statsRequest().send().then([](auto response) {
          return Result<codec::StoreStats>(readStats(response.getStats()));
        });
      },
      callSlots_);
}

Client::Reply<PingReply> Client::ping() {
  return call<PingReply>(
      [](ServerConnection& on) {
        return on.session().pingRequest().send().then(
            [version = on.serverVersion()](auto response) {
              return Result<PingReply>(PingReply{response.getEpoch(), version});
            });
      },
      callSlots_);
}

}  // namespace spolia::client
