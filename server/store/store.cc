#include "server/store/store.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <thread>
#include <vector>

#include "server/store/eviction/demand_curve.h"
#include "server/store/eviction/policy_factory.h"
#include "server/store/index/rocks_index.h"
#include "server/store/lifetime/expiry_sweep.h"
#include "server/store/lifetime/housekeeper.h"
#include "server/store/recovery.h"
#include "server/store/scrubber.h"
#include "server/store/space_shares.h"
#include "server/store/store_engine.h"
#include "server/store/store_files.h"

namespace spolia::store {
namespace {

constexpr uint64_t kMinSegmentBytes = 1 << 20;
constexpr uint64_t kMaxSegmentBytes = 1ull << 32;
constexpr const char* kNoEviction = "none";
// The I/O thread is woken for half of them; a request wakes it sooner.
constexpr size_t kMostUsesHeld = 2048;

StoreOp opOf(StoreOp::Kind kind, const StoreKey& key, uint64_t cookie, StoreQueue& queue) {
  StoreOp op;
  op.kind = kind;
  op.key = key;
  op.cookie = cookie;
  op.queue = &queue;
  return op;
}

// The cap counts segments, so all have one size.
Result<uint64_t> segmentBytesOf(const StoreConfig& config, const std::filesystem::path& segments) {
  SPOLIA_ASSIGN_OR_RETURN(const uint64_t existing, longestSegment(segments));
  const uint64_t fresh =
      config.segmentBytes != 0 ? config.segmentBytes : segmentBytesFor(config.capacityBytes);
  const uint64_t bytes = existing != 0 ? existing : fresh;
  SPOLIA_RETURN_IF_ERROR(checkRoom(config.capacityBytes, bytes));
  if (config.segmentBytes != 0 && config.segmentBytes != bytes) {
    spdlog::warn("{} was made with segments of {} bytes and keeps them", config.directory.string(),
                 bytes);
  }
  return bytes;
}

}  // namespace

Status StoreConfig::validate() const {
  const auto bad = [](const std::string& what) {
    return Status(ErrorCode::kInvalidArgument, what);
  };
  if (directory.empty()) return bad("directory is empty, expected a path");
  // Where it is 0 the directory may say what it is.
  const uint64_t bytes = segmentBytes != 0 ? segmentBytes : kMinSegmentBytes;
  if (bytes < kMinSegmentBytes || bytes > kMaxSegmentBytes || bytes % kDiskBlock != 0) {
    return bad("segmentBytes is " + std::to_string(bytes) +
               ", expected 0 or a multiple of 4096 from 1 MiB to 4 GiB");
  }
  SPOLIA_RETURN_IF_ERROR(checkRoom(capacityBytes, bytes));
  const auto& policies = policyNames();
  if (eviction != kNoEviction && std::ranges::count(policies, eviction) == 0) {
    std::string known = kNoEviction;
    for (const std::string_view name : policies) known.append(", ").append(name);
    return bad("eviction is \"" + eviction + "\", expected one of " + known);
  }
  if (queueDepth < 1 || queueDepth > 4096) {
    return bad("queueDepth is " + std::to_string(queueDepth) + ", expected 1 to 4096");
  }
  return Status();
}

// The thread around a StoreEngine.
class Store::Impl {
 public:
  struct Parts {
    std::filesystem::path directory;
    DirectoryLock lock;
    std::unique_ptr<Ring> ring;
    Recovered recovered;
    std::unique_ptr<StoreClock> clock;
    LeaseLimits leases;
  };
  Impl(Parts parts, EngineConfig config)
      : directory_(std::move(parts.directory)),
        lock_(std::move(parts.lock)),
        ring_(std::move(parts.ring)),
        index_(std::move(parts.recovered.index)),
        clock_(std::move(parts.clock)),
        leases_(parts.leases, [this] { return clock_->bootMs(); }),
        sweep_([this] { return clock_->nowSeconds(); }),
        quotas_(config.quotas),
        worthOf_(config.worthOf),
        housekeeper_({*clock_, sweep_, *index_, [this](auto keys) { expire(std::move(keys)); }}),
        engine_(withTime(std::move(config)), *ring_, *index_, std::move(parts.recovered.table)),
        demand_(engine_.figures().capacityBytes, engine_.entryBytes()),
        thread_([this] { run(); }) {
    housekeeper_.start();
  }

  ~Impl() {
    housekeeper_.stop();
    {
      std::lock_guard lock(mutex_);
      closing_ = true;
    }
    ring_->wake();
    thread_.join();
  }

  void submit(StoreOp op) {
    {
      std::lock_guard lock(mutex_);
      inbox_.push_back(std::move(op));
    }
    ring_->wake();
  }

  void noteUse(const StoreKey& key) {
    {
      std::lock_guard lock(mutex_);
      if (used_.size() == kMostUsesHeld) return;
      used_.push_back(key);
      if (used_.size() != kMostUsesHeld / 2) return;
    }
    ring_->wake();
  }

  // What callers are told of it: nothing when it has expired.
  std::optional<EntryMeta> alive(std::optional<IndexEntry> entry) const {
    if (!entry || engine_.expired(entry->meta)) return std::nullopt;
    entry->meta.version = entry->sequence;
    return std::move(entry->meta);
  }

  void noteDemand(const StoreKey& key, const std::optional<EntryMeta>& found) {
    if (!found) return demand_.missed(key);
    demand_.found(key, AppendLog::recordBytes(*found, found->payloadBytes),
                  worthOf_(*found).recomputeSeconds);
  }

  Status fitsQuota(OwnerTag owner, uint64_t payloadBytes) const {
    const auto quota = std::ranges::find(quotas_, owner, &OwnerQuota::owner);
    if (quota == quotas_.end() || payloadBytes <= quota->bytes) return Status();
    return Status(ErrorCode::kOutOfSpace, "the quota is " + std::to_string(quota->bytes) +
                                              " bytes, the entry has " +
                                              std::to_string(payloadBytes));
  }

  DemandCurve& demand() { return demand_; }
  Index& index() { return *index_; }
  LeaseTable& leases() { return leases_; }
  OwnerTag ownerOf(const EntryMeta& meta) const { return worthOf_(meta).owner; }
  const StoreClock& clock() const { return *clock_; }
  const StoreEngine& engine() const { return engine_; }
  const std::filesystem::path& directory() const { return directory_; }

 private:
  EngineConfig withTime(EngineConfig config) {
    config.clock = [this] { return clock_->nowSeconds(); };
    config.clockMs = [this] { return clock_->nowMs(); };
    config.leases = &leases_;
    config.expires = [this](uint64_t at) {
      if (sweep_.note(at)) housekeeper_.wake();
    };
    return config;
  }

  void expire(std::vector<StoreKey> keys) {
    StoreOp op;
    op.kind = StoreOp::Kind::kExpire;
    op.keys = std::move(keys);
    submit(std::move(op));
  }

  void run() {
    for (;;) {
      std::vector<StoreOp> ops;
      std::vector<StoreKey> used;
      bool closing;
      {
        std::lock_guard lock(mutex_);
        ops.swap(inbox_);
        used.swap(used_);
        closing = closing_;
      }
      for (const StoreKey& key : used) engine_.noteUse(key);
      for (StoreOp& op : ops) engine_.accept(std::move(op));
      if (closing && ops.empty() && engine_.idle()) return;
      engine_.pump(ops.empty() ? Ring::Wait::kBlock : Ring::Wait::kPoll);
    }
  }

  const std::filesystem::path directory_;
  DirectoryLock lock_;
  std::unique_ptr<Ring> ring_;
  std::unique_ptr<Index> index_;
  std::unique_ptr<StoreClock> clock_;
  LeaseTable leases_;
  ExpirySweep sweep_;
  const std::vector<OwnerQuota> quotas_;
  const Residents::WorthOf worthOf_;
  Housekeeper housekeeper_;
  StoreEngine engine_;
  DemandCurve demand_;
  std::mutex mutex_;
  std::vector<StoreOp> inbox_;  // guarded by mutex_
  std::vector<StoreKey> used_;  // guarded by mutex_
  bool closing_ = false;        // guarded by mutex_
  std::thread thread_;
};

Store::Store(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Store::~Store() = default;

Result<std::unique_ptr<Store>> Store::open(const StoreConfig& config) {
  SPOLIA_RETURN_IF_ERROR(config.validate());
  SPOLIA_RETURN_IF_ERROR(checkStoreFormat(config.directory));
  SPOLIA_RETURN_IF_ERROR(makePrivateDirectory(config.directory));
  SPOLIA_ASSIGN_OR_RETURN(DirectoryLock lock, DirectoryLock::acquire(config.directory));
  const std::filesystem::path segments = config.directory / "segments";
  SPOLIA_RETURN_IF_ERROR(makePrivateDirectory(segments));
  SPOLIA_ASSIGN_OR_RETURN(const uint64_t segmentBytes, segmentBytesOf(config, segments));
  EngineConfig engine;
  std::unique_ptr<Ring> ring;
  if (config.ringFactory != nullptr) {
    SPOLIA_ASSIGN_OR_RETURN(ring, config.ringFactory->make(segments, config.queueDepth));
  } else {
    SPOLIA_ASSIGN_OR_RETURN(ChosenRing chosen, chooseRing(config.io, segments, config.queueDepth));
    ring = std::move(chosen.ring);
    engine.ioMissing = std::move(chosen.missing);
  }
  const SpaceShares shares = shareOut(config.capacityBytes, segmentBytes);
  const RocksIndexConfig index{config.directory / "index", shares.indexBytes, config.indexEnv};
  SPOLIA_ASSIGN_OR_RETURN(Recovered recovered, recoverOrRebuild(*ring, index));
  SPOLIA_ASSIGN_OR_RETURN(const uint32_t epoch,
                          nextEpoch(config.directory, latestEpoch(recovered.table)));
  SPOLIA_ASSIGN_OR_RETURN(std::unique_ptr<StoreClock> clock,
                          startClock(config.directory, config.clock));
  engine.log = {segmentBytes, shares.segments, epoch, config.ack == AckMode::kDurable};
  engine.capacityBytes = config.capacityBytes;
  engine.indexEntryBytes = index.entryBudget();
  engine.indexFileBytes = shares.indexBytes;
  engine.damaged = [](const StoreKey& key) {
    spdlog::warn("entry {} is damaged; it counts as absent", key.hex());
  };
  if (config.worthOf) engine.worthOf = config.worthOf;
  if (config.gone) engine.gone = config.gone;
  engine.valuesAlike = config.valuesAlike;
  if (config.companions) engine.companions = config.companions;
  if (config.quotas) {
    SPOLIA_ASSIGN_OR_RETURN(engine.quotas, config.quotas());
  }
  if (config.eviction != kNoEviction) {
    engine.makePolicy = [name = config.eviction](uint64_t capacity) {
      return *makePolicy(name, capacity);
    };
  }
  std::unique_ptr<Store> store(new Store(std::make_unique<Impl>(
      Impl::Parts{config.directory, std::move(lock), std::move(ring), std::move(recovered),
                  std::move(clock), config.leases.within(config.capacityBytes)},
      std::move(engine))));
  if (config.scrubBytesPerSecond > 0) {
    store->scrubber_ = std::make_unique<Scrubber>(
        *store, ScrubConfig{config.scrubBytesPerSecond, ScrubConfig().every});
  }
  return store;
}

void Store::submitPut(PutRequest request, uint64_t cookie, StoreQueue& queue) {
  impl_->demand().stored(request.meta.key,
                         AppendLog::recordBytes(request.meta, request.payload.size()));
  StoreOp op;
  op.kind = StoreOp::Kind::kPut;
  op.put = std::move(request);
  op.cookie = cookie;
  op.queue = &queue;
  impl_->submit(std::move(op));
}

void Store::submitGet(const StoreKey& key, uint64_t offset, uint64_t length, uint64_t cookie,
                      StoreQueue& queue, Deadline deadline) {
  StoreOp op = opOf(StoreOp::Kind::kGet, key, cookie, queue);
  op.deadline = deadline;
  op.offset = offset;
  op.length = length;
  impl_->submit(std::move(op));
}

void Store::submitRemove(const StoreKey& key, uint64_t cookie, StoreQueue& queue) {
  impl_->submit(opOf(StoreOp::Kind::kRemove, key, cookie, queue));
}

void Store::submitVerify(const StoreKey& key, uint64_t cookie, StoreQueue& queue) {
  StoreOp op = opOf(StoreOp::Kind::kVerify, key, cookie, queue);
  op.length = UINT64_MAX;
  impl_->submit(std::move(op));
}

void Store::submitSettle(uint64_t cookie, StoreQueue& queue) {
  impl_->submit(opOf(StoreOp::Kind::kSettle, {}, cookie, queue));
}

Result<LeaseGrant> Store::lease(const LeaseHolder& holder, std::span<const StoreKey> keys,
                                uint64_t ttlMs) {
  SPOLIA_ASSIGN_OR_RETURN(const std::vector<std::optional<EntryMeta>> found, findMany(keys));
  std::vector<EntryMeta> there;
  for (const std::optional<EntryMeta>& meta : found) {
    if (meta) there.push_back(*meta);
  }
  return leaseAhead(holder, there, ttlMs);
}

Result<LeaseGrant> Store::leaseAhead(const LeaseHolder& holder, std::span<const EntryMeta> coming,
                                     uint64_t ttlMs) {
  std::vector<LeaseItem> items;
  for (const EntryMeta& meta : coming) {
    const uint64_t record = AppendLog::recordBytes(meta, meta.payloadBytes);
    items.push_back({meta.key, Residents::footprintOf(meta, record), impl_->ownerOf(meta)});
  }
  return impl_->leases().grant(holder, items, ttlMs);
}

LeaseTable& Store::leases() {
  return impl_->leases();
}

uint64_t Store::longestPayload() const {
  return impl_->engine().longestPayload();
}

const StoreClock& Store::clock() const {
  return impl_->clock();
}

Result<std::optional<EntryMeta>> Store::find(const StoreKey& key) {
  SPOLIA_ASSIGN_OR_RETURN(std::optional<IndexEntry> entry, impl_->index().find(key));
  return impl_->alive(std::move(entry));
}

Result<std::vector<std::optional<EntryMeta>>> Store::findMany(std::span<const StoreKey> keys) {
  SPOLIA_ASSIGN_OR_RETURN(std::vector<std::optional<IndexEntry>> found,
                          impl_->index().findMany(keys));
  std::vector<std::optional<EntryMeta>> out;
  out.reserve(found.size());
  for (std::optional<IndexEntry>& entry : found) out.push_back(impl_->alive(std::move(entry)));
  return out;
}

Result<Store::Page> Store::list(const StoreKey& from, size_t limit) {
  Page page;
  SPOLIA_RETURN_IF_ERROR(impl_->index().scan(from, [&](const IndexEntry& entry) {
    if (page.entries.size() >= limit) {
      page.next = entry.meta.key;
      return false;
    }
    if (std::optional<EntryMeta> meta = impl_->alive(entry)) {
      page.entries.push_back(std::move(*meta));
    }
    return true;
  }));
  return page;
}

void Store::noteUse(const StoreKey& key) {
  impl_->noteUse(key);
}

void Store::noteDemand(const StoreKey& key, const std::optional<EntryMeta>& found) {
  impl_->noteDemand(key, found);
}

Status Store::fitsQuota(OwnerTag owner, uint64_t payloadBytes) const {
  return impl_->fitsQuota(owner, payloadBytes);
}

StoreFigures Store::figures() const {
  StoreFigures figures = impl_->engine().figures();
  figures.capacity = impl_->demand().points();
  if (scrubber_) figures.scrubbedEntries = scrubber_->report().entries;
  return figures;
}

const std::filesystem::path& Store::directory() const {
  return impl_->directory();
}

}  // namespace spolia::store
