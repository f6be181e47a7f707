#include "engine/linker/embedded_kv_source.h"

#include <utility>

#include "server/tiers/tier_set.h"

namespace spolia::engine {

namespace {

class EmbeddedKvSource : public KvSource {
 public:
  EmbeddedKvSource(std::unique_ptr<tiers::TierSet> tiers, uint64_t ttlSeconds)
      : tiers_(std::move(tiers)), namespace_(tiers::embeddedNamespace()), ttlSeconds_(ttlSeconds) {}

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
  std::unique_ptr<tiers::TierSet> tiers_;
  const tiers::Namespace namespace_;
  const uint64_t ttlSeconds_;
};

}  // namespace

Result<std::unique_ptr<KvSource>> openEmbeddedKvSource(const EmbeddedStoreConfig& config) {
  store::StoreConfig store;
  store.directory = config.directory;
  store.capacityBytes = config.capacityBytes;
  store.segmentBytes = config.segmentBytes;
  SPOLIA_ASSIGN_OR_RETURN(std::unique_ptr<tiers::TierSet> tiers,
                          tiers::TierSet::open(store, config.memoryBytes));
  return std::unique_ptr<KvSource>(
      std::make_unique<EmbeddedKvSource>(std::move(tiers), config.ttlSeconds));
}

}  // namespace spolia::engine
