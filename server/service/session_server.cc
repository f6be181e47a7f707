#include "server/service/session_server.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "client/protocol/errors.h"
#include "client/protocol/wire_bytes.h"
#include "server/service/fetch_stream.h"
#include "server/service/lease_server.h"
#include "server/service/remove_all.h"
#include "server/service/upload_writer.h"
#include "server/service/wire_out.h"
#include "server/tiers/entry_attributes.h"

namespace spolia::service {
namespace {

using protocol::toException;

// Counts a call while it lives.
class CallCount {
 public:
  CallCount(ServiceContext& service, Peer& peer) : service_(&service), peer_(&peer) {
    ++service.callsInFlight;
    ++peer.callsInFlight;
  }
  CallCount(CallCount&& other) noexcept
      : service_(std::exchange(other.service_, nullptr)), peer_(other.peer_) {}
  ~CallCount() {
    if (service_ == nullptr) return;
    --peer_->callsInFlight;
    if (--service_->callsInFlight == 0 && service_->onIdle) service_->onIdle();
  }

 private:
  ServiceContext* service_;
  Peer* peer_;
};

class SessionServer final : public protocol::Session::Server {
 public:
  SessionServer(ServiceContext& service, Peer& peer, SessionState state)
      : service_(service), peer_(peer), state_(std::move(state)) {}

 protected:
  kj::Promise<void> lookup(LookupContext context) override {
    return admit(kReadRight, [&] { return doLookup(context); });
  }
  kj::Promise<void> open(OpenContext context) override {
    return admit(kReadRight, [&] { return doOpen(context); });
  }
  kj::Promise<void> fetch(FetchContext context) override {
    return admit(kReadRight, [&] { return doFetch(context); });
  }
  kj::Promise<void> store(StoreContext context) override {
    return admit(kWriteRight, [&] { return doStore(context); });
  }
  kj::Promise<void> putValue(PutValueContext context) override {
    return admit(kWriteRight, [&] { return doPutValue(context); });
  }
  kj::Promise<void> getValue(GetValueContext context) override {
    return admit(kReadRight, [&] { return doGetValue(context); });
  }
  kj::Promise<void> remove(RemoveContext context) override {
    return admit(kWriteRight, [&] { return doRemove(context); });
  }
  kj::Promise<void> list(ListContext context) override {
    return admit(kReadRight, [&] { return doList(context); });
  }
  kj::Promise<void> stats(StatsContext context) override {
    return admit(kReadRight, [&] { return doStats(context); });
  }
  kj::Promise<void> ping(PingContext context) override {
    return admit(kReadRight, [&]() -> kj::Promise<void> {
      context.getResults().setEpoch(service_.epoch);
      return kj::READY_NOW;
    });
  }

  kj::Promise<void> lease(LeaseContext context) override {
    return admit(kReadRight, [&] { return doLease(context); });
  }
  kj::Promise<void> removeAll(RemoveAllContext context) override {
    return admit(kWriteRight, [&] { return doRemoveAll(context); });
  }
  kj::Promise<void> salted(SaltedContext context) override {
    return admit(kReadRight, [&] { return doSalted(context); });
  }

 private:
  template <typename Body>
  kj::Promise<void> admit(uint32_t right, Body body) {
    if ((state_.rights & right) == 0) {
      const char* name = right == kReadRight ? "read" : "write";
      return toException(
          {ErrorCode::kPermissionDenied, std::string("the token does not have the right ") + name});
    }
    if (service_.draining) {
      return toException({ErrorCode::kUnavailable, "the server is shutting down"});
    }
    if (peer_.callsInFlight >= service_.limits.callsInFlight) {
      return toException({ErrorCode::kResourceExhausted,
                          "more than " + std::to_string(service_.limits.callsInFlight) +
                              " calls at a time on one connection"});
    }
    CallCount count(service_, peer_);
    kj::Promise<void> result = body();
    return result.attach(kj::mv(count));
  }

  kj::Promise<void> doLookup(LookupContext context);
  kj::Promise<void> doOpen(OpenContext context);
  kj::Promise<void> doFetch(FetchContext context);
  kj::Promise<void> doStore(StoreContext context);
  kj::Promise<void> doPutValue(PutValueContext context);
  kj::Promise<void> doGetValue(GetValueContext context);
  kj::Promise<void> doRemove(RemoveContext context);
  kj::Promise<void> doList(ListContext context);
  kj::Promise<void> doStats(StatsContext context);
  kj::Promise<void> doLease(LeaseContext context);
  kj::Promise<void> doRemoveAll(RemoveAllContext context);
  kj::Promise<void> doSalted(SaltedContext context);
  Status checkSize(uint64_t size) const;
  void writeUsage(protocol::Stats::Builder out) const;
  kj::Promise<void> stream(std::vector<FetchAsk> asks, protocol::FetchSink::Client sink,
                           uint32_t deadlineMs);

  ServiceContext& service_;
  Peer& peer_;
  const SessionState state_;
};

Result<std::vector<ChunkId>> idsOf(capnp::List<capnp::Data>::Reader ids) {
  if (ids.size() > protocol::kMaxLookupIds) {
    return Status(ErrorCode::kInvalidArgument, "ids: more than 4096");
  }
  std::vector<ChunkId> wanted;
  for (auto id : ids) {
    SPOLIA_ASSIGN_OR_RETURN(ChunkId digest, protocol::digestOf<ChunkIdTag>(id, "ids"));
    wanted.push_back(digest);
  }
  return wanted;
}

// Of a lookup or a lease.
template <typename Results>
void writeFound(const std::vector<Result<codec::EntryInfo>>& entries, Results results) {
  auto out = results.initEntries(static_cast<uint32_t>(entries.size()));
  for (uint32_t i = 0; i < out.size(); ++i) {
    if (entries[i].ok()) {
      writeInfo(*entries[i], out[i].initFound());
    } else if (entries[i].status().code() == ErrorCode::kNotFound) {
      out[i].setAbsent();
    } else {
      writeFailure(entries[i].status(), out[i].initFailed());
    }
  }
  const auto gap = std::find_if(entries.begin(), entries.end(), [](auto& e) { return !e.ok(); });
  results.setPrefix(static_cast<uint32_t>(gap - entries.begin()));
}

kj::Promise<void> SessionServer::doLookup(LookupContext context) {
  const auto wanted = idsOf(context.getParams().getIds());
  if (!wanted.ok()) return toException(wanted.status());
  writeFound(service_.calls.tiers().lookup(state_.ns, *wanted), context.getResults());
  if (context.getParams().getWillFetch()) service_.calls.tiers().readAhead(state_.ns, *wanted);
  return kj::READY_NOW;
}

// What is held is looked up once more, behind all evictions that were under way.
kj::Promise<void> SessionServer::doLease(LeaseContext context) {
  auto wanted = idsOf(context.getParams().getIds());
  if (!wanted.ok()) return toException(wanted.status());
  const auto granted = service_.calls.tiers().lease(state_.ns, reinterpret_cast<uintptr_t>(&peer_),
                                                    *wanted, context.getParams().getTtlMs());
  if (!granted.ok()) return toException(granted.status());
  auto results = context.getResults();
  results.setTtlMs(static_cast<uint32_t>(granted->lengthMs));
  results.setLease(kj::heap<LeaseServer>(service_, thisCap(), granted->id));
  return service_.calls.settle().then(
      [this, context,
       wanted = std::move(*wanted)](codec::ChunkCompletion done) mutable -> kj::Promise<void> {
        if (!done.status.ok()) return toException(done.status);
        writeFound(service_.calls.tiers().lookup(state_.ns, wanted), context.getResults());
        return kj::READY_NOW;
      });
}

kj::Promise<void> SessionServer::doRemoveAll(RemoveAllContext context) {
  std::optional<codec::EntryKind> kind;
  if (context.getParams().getKind() != protocol::EntryKind::NONE) {
    auto known = entryKindOf(context.getParams().getKind());
    if (!known.ok()) return toException(known.status());
    kind = *known;
  }
  context.allowCancellation();
  return service::removeAll(service_, state_.ns, kind).then([context](uint64_t removed) mutable {
    context.getResults().setRemoved(removed);
  });
}

kj::Promise<void> SessionServer::doSalted(SaltedContext context) {
  const auto salt = context.getParams().getSalt();
  if (salt.size() == 0 || salt.size() > protocol::kMaxSaltBytes) {
    return toException({ErrorCode::kInvalidArgument, "salt: expected 1 to 512 bytes"});
  }
  SessionState state = state_;
  state.ns = tiers::saltedNamespace(state_.ns, asText(protocol::bytesOf(salt)));
  context.getResults().setSession(makeSession(service_, peer_, std::move(state)));
  return kj::READY_NOW;
}

kj::Promise<void> SessionServer::doOpen(OpenContext context) {
  auto id = protocol::digestOf<ChunkIdTag>(context.getParams().getId(), "id");
  if (!id.ok()) return toException(id.status());
  if (Status allowed = state_.mayUseChunks(); !allowed.ok()) return toException(allowed);
  return service_.calls.open(state_.ns, *id)
      .then([this, context](codec::ChunkCompletion done) mutable -> kj::Promise<void> {
        if (done.status.code() == ErrorCode::kNotFound) return kj::READY_NOW;
        if (!done.status.ok()) return toException(done.status);
        Status model = state_.checkModel(done.header->identity.fingerprint);
        if (!model.ok()) return toException(model);
        if (done.bytes.size() > protocol::kMaxHeaderOnWire) {
          return toException({ErrorCode::kUnsupported, "the header is larger than 2 MiB"});
        }
        auto results = context.getResults();
        results.setFound(true);
        results.setHeader(protocol::dataOf(done.bytes.span()));
        return kj::READY_NOW;
      });
}

kj::Promise<void> SessionServer::stream(std::vector<FetchAsk> asks,
                                        protocol::FetchSink::Client sink, uint32_t deadlineMs) {
  const Deadline deadline =
      deadlineMs == 0 ? kNoDeadline
                      : std::chrono::steady_clock::now() + std::chrono::milliseconds(deadlineMs);
  auto stream = kj::heap<FetchStream>(FetchStream::Config{service_, peer_, state_, deadline},
                                      std::move(asks), kj::mv(sink));
  auto running = stream->run();
  return running.attach(kj::mv(stream));
}

kj::Promise<void> SessionServer::doFetch(FetchContext context) {
  const auto params = context.getParams();
  const auto specs = params.getSpecs();
  if (specs.size() > protocol::kMaxFetchSpecs) {
    return toException({ErrorCode::kInvalidArgument, "specs: more than 1024"});
  }
  if (Status allowed = state_.mayUseChunks(); !allowed.ok()) return toException(allowed);
  std::vector<FetchAsk> asks;
  for (auto spec : specs) {
    auto id = protocol::digestOf<ChunkIdTag>(spec.getId(), "specs.id");
    if (!id.ok()) return toException(id.status());
    FetchAsk ask;
    ask.id = *id;
    ask.range = {spec.getLayerBegin(), spec.getLayerEnd(), spec.getTokenBegin(), spec.getTokenEnd(),
                 spec.getMaxLevel()};
    ask.knownHeader = spec.getKnownHeader();
    asks.push_back(ask);
  }
  auto sink = params.getSink();
  const uint32_t deadlineMs = params.getDeadlineMs();
  context.releaseParams();
  context.allowCancellation();
  return stream(std::move(asks), kj::mv(sink), deadlineMs);
}

kj::Promise<void> SessionServer::doGetValue(GetValueContext context) {
  const auto params = context.getParams();
  auto id = protocol::digestOf<ChunkIdTag>(params.getId(), "id");
  if (!id.ok()) return toException(id.status());
  FetchAsk ask;
  ask.id = *id;
  ask.what = FetchAsk::What::kValue;
  auto sink = params.getSink();
  context.allowCancellation();
  return stream({ask}, kj::mv(sink), params.getDeadlineMs());
}

Status SessionServer::checkSize(uint64_t size) const {
  const uint64_t limit = std::min(protocol::kMaxStreamBytes, service_.limits.connectionBytes);
  if (size <= limit) return service_.calls.tiers().fits(state_.ns, size);
  return {ErrorCode::kInvalidArgument,
          "size: " + std::to_string(size) + " bytes, the limit is " + std::to_string(limit)};
}

kj::Promise<void> SessionServer::doStore(StoreContext context) {
  const auto params = context.getParams();
  const uint64_t size = params.getSize();
  auto mode = putModeOf(params.getMode());
  if (!mode.ok()) return toException(mode.status());
  if (Status allowed = state_.mayUseChunks(); !allowed.ok()) return toException(allowed);
  if (Status fits = checkSize(size); !fits.ok()) return toException(fits);
  const codec::PutOptions put(*mode, params.getTtlSeconds());
  context.allowCancellation();
  return holdBytes(service_, peer_, size).then([this, context, size, put](HeldBytes held) mutable {
    context.getResults().setWriter(kj::heap<UploadWriter>(
        UploadWriter::Config{service_, state_, size, kj::mv(held), put, std::nullopt}));
  });
}

kj::Promise<void> SessionServer::doPutValue(PutValueContext context) {
  const auto params = context.getParams();
  auto id = protocol::digestOf<ChunkIdTag>(params.getId(), "id");
  if (!id.ok()) return toException(id.status());
  auto kind = entryKindOf(params.getKind());
  if (!kind.ok()) return toException(kind.status());
  if (*kind == codec::EntryKind::kChunk || *kind == codec::EntryKind::kEmbedding) {
    return toException({ErrorCode::kInvalidArgument, "kind: chunks and embeddings go by store"});
  }
  auto mode = putModeOf(params.getMode());
  if (!mode.ok()) return toException(mode.status());
  if (params.getLabel().size() > protocol::kMaxLabelBytes) {
    return toException({ErrorCode::kInvalidArgument, "label: more than 512 bytes"});
  }
  const uint64_t size = params.getSize();
  if (Status fits = checkSize(size); !fits.ok()) return toException(fits);
  tiers::ValuePut put;
  put.id = *id;
  put.kind = *kind;
  put.label = protocol::textOf(params.getLabel());
  put.mode = *mode;
  put.lifetime = {params.getTtlSeconds(), params.getExpiresAt()};
  context.allowCancellation();
  return holdBytes(service_, peer_, size)
      .then([this, context, size, put = std::move(put)](HeldBytes held) mutable {
        context.getResults().setWriter(kj::heap<UploadWriter>(
            UploadWriter::Config{service_, state_, size, kj::mv(held), put.mode, std::move(put)}));
      });
}

kj::Promise<void> SessionServer::doRemove(RemoveContext context) {
  auto id = protocol::digestOf<ChunkIdTag>(context.getParams().getId(), "id");
  if (!id.ok()) return toException(id.status());
  return service_.calls.remove(state_.ns, *id)
      .then([context](codec::ChunkCompletion done) mutable -> kj::Promise<void> {
        if (!done.status.ok() && done.status.code() != ErrorCode::kNotFound) {
          return toException(done.status);
        }
        context.getResults().setFound(done.status.ok());
        return kj::READY_NOW;
      });
}

kj::Promise<void> SessionServer::doList(ListContext context) {
  const auto params = context.getParams();
  auto kind = entryKindOf(params.getKind());
  if (!kind.ok()) return toException(kind.status());
  uint32_t limit = params.getLimit();
  if (limit == 0 || limit > protocol::kMaxListEntries) limit = protocol::kMaxListEntries;
  const std::string cursor(asText(protocol::bytesOf(params.getCursor())));
  auto page = service_.calls.tiers().list(state_.ns, *kind, cursor, limit);
  if (!page.ok()) return toException(page.status());
  auto results = context.getResults();
  auto entries = results.initEntries(static_cast<uint32_t>(page->entries.size()));
  for (uint32_t i = 0; i < entries.size(); ++i) writeInfo(page->entries[i], entries[i]);
  results.setNext(protocol::dataOf(asBytes(page->next)));
  return kj::READY_NOW;
}

// Of the session's tenant, and with the right of all.
void SessionServer::writeUsage(protocol::Stats::Builder out) const {
  const store::OwnerTag own = tiers::ownerTagOf(tiers::namespaceTagOf(state_.ns));
  std::vector<store::OwnerUsage> usage = service_.calls.tiers().usage();
  const bool all = (state_.rights & kAdminRight) != 0;
  std::erase_if(usage, [&](const store::OwnerUsage& of) { return !all && of.owner != own; });
  auto tenants = out.initTenants(static_cast<uint32_t>(usage.size()));
  for (uint32_t i = 0; i < tenants.size(); ++i) {
    const auto known = service_.tenants.find(usage[i].owner);
    if (usage[i].owner == own) {
      tenants[i].setTenant(state_.ns.name);
    } else if (known != service_.tenants.end()) {
      tenants[i].setTenant(known->second);
    }
    tenants[i].setEntries(usage[i].entries);
    tenants[i].setUsedBytes(usage[i].usedBytes);
    tenants[i].setQuotaBytes(usage[i].quotaBytes);
    tenants[i].setEvicted(usage[i].evicted);
  }
}

kj::Promise<void> SessionServer::doStats(StatsContext context) {
  const codec::StoreStats stats = service_.calls.tiers().stats();
  auto out = context.getResults().initStats();
  out.setLocation(protocol::textReader(stats.location));
  out.setCapacityBytes(stats.capacityBytes);
  out.setUsedBytes(stats.usedBytes);
  out.setFreeDiskBytes(stats.freeDiskBytes);
  out.setIoBackend(protocol::textReader(stats.ioBackend));
  out.setMemoryCapacityBytes(stats.memoryCapacityBytes);
  out.setReadOnly(protocol::textReader(stats.readOnly));
  out.setIoMissing(protocol::textReader(stats.ioMissing));
  out.setUptimeSeconds((service_.timer.now() - service_.started) / kj::SECONDS);
  writeUsage(out);
  // Counters cover all tenants: to others they would be a way to watch them.
  if ((state_.rights & kAdminRight) == 0) return kj::READY_NOW;
  out.setEntries(stats.entries);
  out.setHits(stats.hits);
  out.setMisses(stats.misses);
  out.setCorruptBlocks(stats.corruptBlocks);
  out.setDifferingPuts(stats.differingPuts);
  out.setBytesRead(stats.bytesRead);
  out.setBytesWritten(stats.bytesWritten);
  out.setIndexBytes(stats.indexBytes);
  out.setEvicted(stats.evicted);
  out.setExpired(stats.expired);
  out.setLeased(stats.leased);
  out.setCleanedSegments(stats.cleanedSegments);
  out.setMovedBytes(stats.movedBytes);
  out.setScrubbedEntries(stats.scrubbedEntries);
  out.setLateReads(stats.lateReads);
  out.setMemoryUsedBytes(stats.memoryUsedBytes);
  out.setMemoryHits(stats.memoryHits);
  out.setMemoryServedBytes(stats.memoryServedBytes);
  out.setMemoryAdmittedBytes(stats.memoryAdmittedBytes);
  out.setMemoryAheadBytes(stats.memoryAheadBytes);
  out.setMemoryEvictedBytes(stats.memoryEvictedBytes);
  out.setConnections(service_.connections);
  auto points = out.initCapacity(static_cast<uint32_t>(stats.capacity.size()));
  for (uint32_t i = 0; i < points.size(); ++i) {
    points[i].setCapacityBytes(stats.capacity[i].capacityBytes);
    points[i].setHitShare(stats.capacity[i].hitShare);
    points[i].setSavedShare(stats.capacity[i].savedShare);
  }
  return kj::READY_NOW;
}

}  // namespace

protocol::Session::Client makeSession(ServiceContext& service, Peer& peer, SessionState state) {
  return kj::heap<SessionServer>(service, peer, std::move(state));
}

}  // namespace spolia::service
