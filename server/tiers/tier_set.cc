#include "server/tiers/tier_set.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "server/tiers/entry_attributes.h"
#include "server/tiers/tier_worker.h"

namespace spolia::tiers {
namespace {

using Kind = TierRequest::Kind;

constexpr size_t kListPage = 256;

TierRequest makeRequest(Kind kind, const Namespace& ns, const ChunkId& id, uint64_t cookie,
                        codec::ChunkQueue& queue, Deadline deadline = kNoDeadline) {
  TierRequest request;
  request.deadline = deadline;
  request.kind = kind;
  request.ns = ns;
  request.id = id;
  request.cookie = cookie;
  request.queue = &queue;
  return request;
}

// The key that a listing goes on behind: one of the caller's own, so that cursors tell nothing of
// other namespaces.
Result<std::optional<StoreKey>> parseCursor(const std::string& cursor) {
  if (cursor.empty()) return std::optional<StoreKey>();
  auto bytes = digestFromHex(cursor);
  if (!bytes.ok()) return bytes.status().withContext("cursor");
  return std::optional<StoreKey>(StoreKey{*bytes});
}

// The extents that a store has when it is opened. Any thread.
class ExtentsFound {
 public:
  // Does nothing once withoutEntry() was asked.
  void note(const store::EntryMeta& meta) {
    if (meta.kind != kExtentKind || done_) return;
    const auto extent = readExtentAttributes(meta.attributes);
    if (extent.ok()) found_.push_back({meta.key, extent->entry, *extent->value.extents});
  }

  // Keys of those that a crash left behind.
  Result<std::vector<StoreKey>> withoutEntry(store::Store& store) {
    done_ = true;
    std::vector<StoreKey> entries;
    for (const Found& extent : found_) entries.push_back(extent.entry);
    SPOLIA_ASSIGN_OR_RETURN(const auto metas, store.findMany(entries));
    std::vector<StoreKey> out;
    for (size_t i = 0; i < found_.size(); ++i) {
      const std::optional<Extents> theirs = metas[i] ? extentsOf(*metas[i]) : std::nullopt;
      if (theirs != found_[i].extents) out.push_back(found_[i].key);
    }
    return out;
  }

  static bool concerns(const store::EntryMeta& meta) {
    return meta.kind == kExtentKind || extentsOf(meta);
  }

 private:
  struct Found {
    StoreKey key, entry;
    Extents extents;
  };

  std::atomic<bool> done_{false};
  std::vector<Found> found_;  // written in Store::open()
};

Result<codec::EntryInfo> infoOf(const Result<std::optional<store::EntryMeta>>& found) {
  if (!found.ok()) return found.status();
  if (!*found) return Status(ErrorCode::kNotFound, "no such entry");
  return entryInfoOf(**found);
}

}  // namespace

class TierSet::Impl {
 public:
  Impl(std::unique_ptr<GoneQueue> gaveUp, std::unique_ptr<store::Store> opened, uint64_t memory,
       Lifetimes lifetimes)
      : gone(std::move(gaveUp)),
        store(std::move(opened)),
        memoryBytes(memory),
        worker(*store, *gone, memory, lifetimes) {}

  std::unique_ptr<GoneQueue> gone;
  std::unique_ptr<store::Store> store;
  const uint64_t memoryBytes;
  TierWorker worker;  // finishes before the store closes
};

Namespace embeddedNamespace() {
  return {"embedded", sha256(asBytes("spolia embedded namespace"))};
}

// Store keys come from a namespace's secret, so another secret is another namespace.
Namespace saltedNamespace(const Namespace& whole, std::string_view salt) {
  const std::string text = "spolia cache salt\n" + std::string(salt);
  return {whole.name, hmacSha256(whole.secret, asBytes(text)),
          whole.wholeSecret.value_or(whole.secret)};
}

Result<std::unique_ptr<TierSet>> TierSet::open(const store::StoreConfig& config,
                                               uint64_t memoryBytes, Lifetimes lifetimes) {
  if (memoryBytes != 0 && memoryBytes < MemoryTier::kLeastCapacity) {
    return Status(ErrorCode::kInvalidArgument, "memory: " + std::to_string(memoryBytes) +
                                                   " bytes, expected 0 (none) or at least " +
                                                   std::to_string(MemoryTier::kLeastCapacity));
  }
  auto gone = std::make_unique<GoneQueue>();
  const auto extents = std::make_shared<ExtentsFound>();
  store::StoreConfig withWorth = config;
  withWorth.worthOf = [extents](const store::EntryMeta& meta) {
    extents->note(meta);
    return entryWorthOf(meta);
  };
  withWorth.companions = otherExtentsOf;
  withWorth.valuesAlike = valuesAlike;
  withWorth.gone = [queue = gone.get()](const store::EntryMeta& meta) {
    if (ExtentsFound::concerns(meta)) queue->push(meta);
  };
  SPOLIA_ASSIGN_OR_RETURN(std::unique_ptr<store::Store> store, store::Store::open(withWorth));
  TierRequest left;
  left.kind = Kind::kDiscard;
  SPOLIA_ASSIGN_OR_RETURN(left.extents, extents->withoutEntry(*store));
  std::unique_ptr<TierSet> tiers(new TierSet(
      std::make_unique<Impl>(std::move(gone), std::move(store), memoryBytes, lifetimes)));
  tiers->impl_->worker.submit(std::move(left));
  return tiers;
}

TierSet::TierSet(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TierSet::~TierSet() = default;

std::vector<Result<codec::EntryInfo>> TierSet::lookup(const Namespace& ns,
                                                      std::span<const ChunkId> ids) {
  std::vector<StoreKey> keys;
  keys.reserve(ids.size());
  for (const ChunkId& id : ids) keys.push_back(storeKeyOf(ns, id));
  const auto found = impl_->store->findMany(keys);
  std::vector<Result<codec::EntryInfo>> out;
  out.reserve(ids.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    // One that cannot be read is no reason to miss the others.
    out.push_back(infoOf(found.ok() ? (*found)[i] : impl_->store->find(keys[i])));
    // What is there is counted when it is fetched.
    if (!out.back().ok()) impl_->store->noteDemand(keys[i], std::nullopt);
  }
  return out;
}

void TierSet::submitOpen(const Namespace& ns, const ChunkId& id, uint64_t cookie,
                         codec::ChunkQueue& queue, Deadline deadline) {
  impl_->worker.submit(makeRequest(Kind::kOpen, ns, id, cookie, queue, deadline));
}

void TierSet::submitFetch(const Namespace& ns, const ChunkId& id, const codec::KvRange& range,
                          uint64_t cookie, codec::ChunkQueue& queue, Deadline deadline) {
  TierRequest request = makeRequest(Kind::kFetch, ns, id, cookie, queue, deadline);
  request.range = range;
  impl_->worker.submit(std::move(request));
}

void TierSet::readAhead(const Namespace& ns, std::span<const ChunkId> ids) {
  if (impl_->memoryBytes == 0 || ids.empty()) return;
  TierRequest request;
  request.kind = Kind::kReadAhead;
  request.ns = ns;
  request.ids.assign(ids.begin(), ids.end());
  impl_->worker.submit(std::move(request));
}

void TierSet::submitStore(const Namespace& ns, AlignedBuffer stream, codec::PutOptions put,
                          uint64_t cookie, codec::ChunkQueue& queue) {
  TierRequest request = makeRequest(Kind::kStore, ns, {}, cookie, queue);
  request.bytes = std::move(stream);
  request.mode = put.mode;
  request.lifetime.ttlSeconds = put.ttlSeconds;
  impl_->worker.submit(std::move(request));
}

void TierSet::submitRemove(const Namespace& ns, const ChunkId& id, uint64_t cookie,
                           codec::ChunkQueue& queue) {
  impl_->worker.submit(makeRequest(Kind::kRemove, ns, id, cookie, queue));
}

void TierSet::submitPutValue(const Namespace& ns, ValuePut put, uint64_t cookie,
                             codec::ChunkQueue& queue) {
  TierRequest request = makeRequest(Kind::kPutValue, ns, put.id, cookie, queue);
  request.bytes = std::move(put.bytes);
  request.mode = put.mode;
  request.entryKind = put.kind;
  request.label = std::move(put.label);
  request.lifetime = put.lifetime;
  impl_->worker.submit(std::move(request));
}

void TierSet::submitGetValue(const Namespace& ns, const ChunkId& id, uint64_t cookie,
                             codec::ChunkQueue& queue, Deadline deadline) {
  impl_->worker.submit(makeRequest(Kind::kGetValue, ns, id, cookie, queue, deadline));
}

Result<store::LeaseGrant> TierSet::lease(const Namespace& ns, uint64_t holder,
                                         std::span<const ChunkId> ids, uint64_t ttlMs) {
  std::vector<StoreKey> keys;
  keys.reserve(ids.size());
  for (const ChunkId& id : ids) keys.push_back(storeKeyOf(ns, id));
  SPOLIA_ASSIGN_OR_RETURN(const auto found, impl_->store->findMany(keys));
  std::vector<store::EntryMeta> there;
  keys.clear();
  for (const std::optional<store::EntryMeta>& meta : found) {
    if (!meta) continue;
    there.push_back(*meta);
    const std::vector<StoreKey> others = otherExtentsOf(*meta);
    keys.insert(keys.end(), others.begin(), others.end());
  }
  SPOLIA_ASSIGN_OR_RETURN(const auto extents, impl_->store->findMany(keys));
  for (const std::optional<store::EntryMeta>& meta : extents) {
    if (meta) there.push_back(*meta);
  }
  return impl_->store->leaseAhead({holder, ns.name}, there, ttlMs);
}

Result<uint64_t> TierSet::renewLease(store::LeaseId id, uint64_t ttlMs) {
  return impl_->store->leases().renew(id, ttlMs);
}

void TierSet::endLease(store::LeaseId id) {
  impl_->store->leases().release(id);
}

void TierSet::submitSettle(uint64_t cookie, codec::ChunkQueue& queue) {
  impl_->worker.submit(makeRequest(Kind::kSettle, {}, {}, cookie, queue));
}

Result<IdPage> TierSet::ids(const Namespace& ns, std::optional<codec::EntryKind> kind,
                            const StoreKey& from, size_t looks) {
  const NamespaceTag tag = namespaceTagOf(ns);
  SPOLIA_ASSIGN_OR_RETURN(store::Store::Page page, impl_->store->list(from, looks));
  IdPage out;
  out.next = page.next;
  for (const store::EntryMeta& meta : page.entries) {
    if (meta.kind == kExtentKind) continue;
    if (kind && meta.kind != static_cast<uint8_t>(*kind)) continue;
    const auto attributes = readAttributes(meta.attributes);
    if (attributes.ok() && attributes->ns == tag) out.ids.push_back(attributes->id);
  }
  return out;
}

Result<codec::EntryPage> TierSet::list(const Namespace& ns, codec::EntryKind kind,
                                       const std::string& cursor, size_t limit) {
  if (limit == 0) return Status(ErrorCode::kInvalidArgument, "limit: expected at least 1");
  SPOLIA_ASSIGN_OR_RETURN(const std::optional<StoreKey> behind, parseCursor(cursor));
  const NamespaceTag tag = namespaceTagOf(ns);
  codec::EntryPage out;
  StoreKey last;
  std::optional<StoreKey> from = behind.value_or(StoreKey{});
  while (from) {
    SPOLIA_ASSIGN_OR_RETURN(store::Store::Page page, impl_->store->list(*from, kListPage));
    for (const store::EntryMeta& meta : page.entries) {
      if (meta.kind != static_cast<uint8_t>(kind) || meta.key == behind) continue;
      const auto attributes = readAttributes(meta.attributes);
      if (!attributes.ok() || attributes->ns != tag) continue;
      if (out.entries.size() == limit) {
        out.next = last.hex();
        return out;
      }
      SPOLIA_ASSIGN_OR_RETURN(codec::EntryInfo info, entryInfoOf(meta));
      out.entries.push_back(std::move(info));
      last = meta.key;
    }
    from = page.next;
  }
  return out;
}

Status TierSet::fits(const Namespace& ns, uint64_t bytes) const {
  const uint64_t longest = impl_->store->longestPayload();
  const uint64_t held = impl_->store->leases().limits().groupBytes;
  if (bytes > longest && bytes > held) {
    return Status(ErrorCode::kOutOfSpace, "value: " + std::to_string(bytes) +
                                              " bytes, the store takes at most " +
                                              std::to_string(std::max(longest, held)));
  }
  return impl_->store->fitsQuota(ownerTagOf(namespaceTagOf(ns)), bytes);
}

std::vector<store::OwnerUsage> TierSet::usage() const {
  return impl_->store->figures().owners;
}

codec::StoreStats TierSet::stats() const {
  const store::StoreFigures figures = impl_->store->figures();
  const TierCounters& counters = impl_->worker.counters();
  codec::StoreStats out;
  out.location = impl_->store->directory().string();
  out.entries = figures.entries;
  out.usedBytes = figures.usedBytes;
  out.capacityBytes = figures.capacityBytes;
  std::error_code error;
  const auto space = std::filesystem::space(impl_->store->directory(), error);
  out.freeDiskBytes = error ? 0 : space.available;
  out.hits = counters.hits;
  out.misses = counters.misses;
  out.corruptBlocks = figures.corruptBlocks;
  out.differingPuts = counters.differingPuts;
  out.bytesRead = figures.bytesRead;
  out.bytesWritten = figures.bytesWritten;
  out.ioBackend = figures.ioBackend;
  out.ioMissing = figures.ioMissing;
  out.lateReads = figures.lateReads;
  out.readOnly = figures.readOnly;
  out.indexBytes = figures.indexBytes;
  out.evicted = figures.evicted;
  out.expired = figures.expired;
  out.leased = figures.leased;
  out.cleanedSegments = figures.cleanedSegments;
  out.movedBytes = figures.movedBytes;
  out.scrubbedEntries = figures.scrubbedEntries;
  for (const store::CapacityPoint& point : figures.capacity) {
    out.capacity.push_back({point.capacityBytes, point.hitShare, point.savedShare});
  }
  const MemoryFigures& memory = impl_->worker.memoryFigures();
  out.memoryCapacityBytes = impl_->memoryBytes;
  out.memoryUsedBytes = memory.usedBytes;
  out.memoryHits = counters.memoryHits;
  out.memoryServedBytes = counters.memoryServedBytes;
  out.memoryAdmittedBytes = memory.admittedBytes;
  out.memoryAheadBytes = memory.aheadBytes;
  out.memoryEvictedBytes = memory.evictedBytes;
  return out;
}

}  // namespace spolia::tiers
