#include "engine/linker/embedded_kv_source.h"

#include <utility>

#include "server/tiers/tier_set.h"

namespace spolia::engine {

namespace {

class EmbeddedKvSource : public SaltableKvSource {
 public:
  EmbeddedKvSource(std::shared_ptr<tiers::TierSet> tiers, tiers::Namespace ns, uint64_t ttlSeconds)
      : tiers_(std::move(tiers)), namespace_(std::move(ns)), ttlSeconds_(ttlSeconds) {}

  std::unique_ptr<KvSource> salted(std::string_view salt) override {
    return std::make_unique<EmbeddedKvSource>(tiers_, tiers::saltedNamespace(namespace_, salt),
                                              ttlSeconds_);
  }

  void submitOpen(const ChunkId& id, uint64_t cookie, codec::ChunkQueue& queue) override {
    tiers_->submitOpen(namespace_, id, cookie, queue);
  }
  void submitFetch(const ChunkId& id, const codec::KvRange& range, uint64_t cookie,
                   codec::ChunkQueue& queue) override {
    tiers_->submitFetch(namespace_, id, range, cookie, queue);
  }
  void submitStore(AlignedBuffer stream, codec::PutMode mode, uint64_t cookie,
                   codec::ChunkQueue& queue) override {
    tiers_->submitStore(namespace_, std::move(stream), {mode, ttlSeconds_}, cookie, queue);
  }
  void submitRemove(const ChunkId& id, uint64_t cookie, codec::ChunkQueue& queue) override {
    tiers_->submitRemove(namespace_, id, cookie, queue);
  }
  void submitPutValue(ValueToStore value, uint64_t cookie, codec::ChunkQueue& queue) override {
    tiers::ValuePut put;
    put.id = value.id;
    put.kind = value.kind;
    put.label = std::move(value.label);
    put.bytes = std::move(value.bytes);
    put.mode = value.mode;
    put.lifetime.ttlSeconds = lifetimeOf(value.kind, ttlSeconds_);
    tiers_->submitPutValue(namespace_, std::move(put), cookie, queue);
  }
  void submitGetValue(const ChunkId& id, uint64_t cookie, codec::ChunkQueue& queue) override {
    tiers_->submitGetValue(namespace_, id, cookie, queue);
  }
  Result<codec::EntryPage> list(codec::EntryKind kind, const std::string& cursor,
                                size_t limit) override {
    return tiers_->list(namespace_, kind, cursor, limit);
  }
  Result<codec::StoreStats> stats() override { return tiers_->stats(); }

 private:
  std::shared_ptr<tiers::TierSet> tiers_;
  const tiers::Namespace namespace_;
  const uint64_t ttlSeconds_;
};

}  // namespace

Result<std::unique_ptr<SaltableKvSource>> openEmbeddedKvSource(const EmbeddedStoreConfig& config) {
  store::StoreConfig store;
  store.directory = config.directory;
  store.capacityBytes = config.capacityBytes;
  store.segmentBytes = config.segmentBytes;
  SPOLIA_ASSIGN_OR_RETURN(std::unique_ptr<tiers::TierSet> tiers,
                          tiers::TierSet::open(store, config.memoryBytes));
  return std::unique_ptr<SaltableKvSource>(std::make_unique<EmbeddedKvSource>(
      std::move(tiers), tiers::embeddedNamespace(), config.ttlSeconds));
}

void SaltedSource::share(const ChunkId& id) {
  const std::lock_guard lock(mutex_);
  sharedIds_.insert(id);
}

KvSource& SaltedSource::sourceOf(const ChunkId& id) {
  const std::lock_guard lock(mutex_);
  return sharedIds_.contains(id) ? shared_ : *own_;
}

void SaltedSource::submitOpen(const ChunkId& id, uint64_t cookie, codec::ChunkQueue& queue) {
  sourceOf(id).submitOpen(id, cookie, queue);
}

void SaltedSource::submitFetch(const ChunkId& id, const codec::KvRange& range, uint64_t cookie,
                               codec::ChunkQueue& queue) {
  sourceOf(id).submitFetch(id, range, cookie, queue);
}

void SaltedSource::submitStore(AlignedBuffer stream, codec::PutMode mode, uint64_t cookie,
                               codec::ChunkQueue& queue) {
  own_->submitStore(std::move(stream), mode, cookie, queue);
}

void SaltedSource::submitRemove(const ChunkId& id, uint64_t cookie, codec::ChunkQueue& queue) {
  own_->submitRemove(id, cookie, queue);
}

void SaltedSource::submitPutValue(ValueToStore value, uint64_t cookie, codec::ChunkQueue& queue) {
  own_->submitPutValue(std::move(value), cookie, queue);
}

void SaltedSource::submitGetValue(const ChunkId& id, uint64_t cookie, codec::ChunkQueue& queue) {
  sourceOf(id).submitGetValue(id, cookie, queue);
}

Result<codec::EntryPage> SaltedSource::list(codec::EntryKind kind, const std::string& cursor,
                                            size_t limit) {
  return own_->list(kind, cursor, limit);
}

Result<codec::StoreStats> SaltedSource::stats() {
  return own_->stats();
}

}  // namespace spolia::engine
