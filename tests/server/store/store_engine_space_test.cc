// Whose entries make room, in a store on a simulated disk that is written to far beyond its cap.
#include <gtest/gtest.h>

#include <map>

#include "server/store/eviction/policy_factory.h"
#include "server/store/recovery.h"
#include "server/store/store_engine.h"
#include "tests/support/map_index.h"
#include "tests/support/sim_ring.h"

namespace spolia::store {
namespace {

constexpr uint64_t kSegmentBytes = 1 << 20;
constexpr uint32_t kSegments = 24;
constexpr uint64_t kQuota = 10 << 20;
constexpr uint8_t kFlood = 1, kModest = 2, kOther = 3, kAlike = 4;

StoreKey numberedKey(uint64_t n) {
  StoreKey key;
  key.bytes = sha256(std::as_bytes(std::span(&n, 1)));
  return key;
}

// An entry's kind says whose it is; its attributes, where there are any, which it hangs on.
EntryWorth worthOf(const EntryMeta& meta) {
  EntryWorth worth;
  worth.owner = meta.kind;
  if (!meta.attributes.empty()) {
    worth.chained = true;
    worth.depth = static_cast<uint32_t>(meta.attributes[0]);
    if (worth.depth > 0) {
      std::copy_n(meta.attributes.begin() + 1, 32, worth.parent.emplace().bytes.begin());
    }
  }
  return worth;
}

class SmallStore {
 public:
  explicit SmallStore(uint64_t seed) : disk_(seed) { open({{kModest, kQuota}}); }

  void open(std::vector<OwnerQuota> quotas) {
    engine_.reset();
    ring_ = std::make_unique<test::SimRing>(disk_);
    Result<SegmentTable> table = Recovery::run(*ring_, index_);
    ASSERT_TRUE(table.ok()) << table.status().toString();
    EngineConfig config;
    config.log = {kSegmentBytes, kSegments, ++epoch_, true};
    config.clock = [this] { return nowMs_ / 1000; };
    config.clockMs = [this] { return nowMs_; };
    config.worthOf = worthOf;
    config.quotas = std::move(quotas);
    config.valuesAlike = [](const EntryMeta& meta) { return meta.kind == kAlike; };
    config.makePolicy = [](uint64_t capacity) { return *makePolicy("value", capacity); };
    engine_ = std::make_unique<StoreEngine>(std::move(config), *ring_, index_, std::move(*table));
  }

  Status put(uint64_t n, uint8_t owner, size_t bytes, Bytes attributes = {}) {
    StoreOp op;
    op.kind = StoreOp::Kind::kPut;
    op.put.meta.key = numberedKey(n);
    op.put.meta.kind = owner;
    op.put.meta.attributes = std::move(attributes);
    op.put.payload = AlignedBuffer::copyOf(Bytes(bytes, std::byte{static_cast<uint8_t>(n)}));
    return finish(std::move(op));
  }
  bool get(uint64_t n) {
    StoreOp op;
    op.key = numberedKey(n);
    op.length = UINT64_MAX;
    return finish(std::move(op)).ok();
  }
  Status remove(uint64_t n) {
    StoreOp op;
    op.kind = StoreOp::Kind::kRemove;
    op.key = numberedKey(n);
    return finish(std::move(op));
  }
  void loseIndex() { index_.crash(0); }
  // Bytes of files of that kind.
  uint64_t fileBytes(std::string_view suffix) const {
    uint64_t bytes = 0;
    for (const auto& [name, content] : disk_.contents()) {
      if (name.ends_with(suffix)) bytes += content.size();
    }
    return bytes;
  }
  bool has(uint64_t n) { return index_.find(numberedKey(n))->has_value(); }
  uint64_t usedBy(uint8_t owner) const {
    for (const OwnerUsage& usage : engine_->figures().owners) {
      if (usage.owner == owner) return usage.usedBytes;
    }
    return 0;
  }
  const StoreEngine& engine() const { return *engine_; }

 private:
  Status finish(StoreOp op) {
    op.queue = &queue_;
    nowMs_ += 50;
    engine_->accept(std::move(op));
    for (int turns = 0; !engine_->idle() && turns < 1'000'000; ++turns) {
      engine_->pump(Ring::Wait::kPoll);
    }
    auto done = queue_.drain();
    return done.size() == 1 ? done[0].status : Status(ErrorCode::kInternal, "not answered once");
  }

  test::SimDisk disk_;
  test::MapIndex index_;
  std::unique_ptr<test::SimRing> ring_;
  std::unique_ptr<StoreEngine> engine_;
  StoreQueue queue_;
  uint64_t nowMs_ = 1'000'000;
  uint32_t epoch_ = 0;
};

TEST(StoreEngineSpace, AFloodCostsATenantWithinItsQuotaNothing) {
  const uint64_t seed = 61;
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  SmallStore store(seed);
  uint64_t entries = 0;
  while (store.usedBy(kModest) + 100'000 < kQuota) {
    ASSERT_TRUE(store.put(entries++, kModest, 60'000 + random() % 30'000).ok());
  }
  ASSERT_LE(store.usedBy(kModest), kQuota);
  for (uint64_t n = 0; n < 1500; ++n) {
    ASSERT_TRUE(store.put(1000 + n, kFlood, random() % 120'000).ok()) << n;
  }
  EXPECT_GT(store.engine().figures().evicted, 500u);
  uint64_t lost = 0;
  for (uint64_t n = 0; n < entries; ++n) lost += !store.get(n);
  EXPECT_LE(lost, entries / 100);
}

TEST(StoreEngineSpace, ATenantOverItsQuotaMakesRoomForItself) {
  SmallStore store(67);
  store.open({{kModest, kQuota}, {kOther, kQuota / 2}});
  for (uint64_t n = 0; n < 20; ++n) ASSERT_TRUE(store.put(n, kOther, 50'000).ok());
  for (uint64_t n = 0; n < 400; ++n) ASSERT_TRUE(store.put(1000 + n, kModest, 80'000).ok());
  EXPECT_LE(store.usedBy(kModest), kQuota);
  EXPECT_GT(store.usedBy(kModest), kQuota * 9 / 10);
  for (uint64_t n = 0; n < 20; ++n) EXPECT_TRUE(store.get(n)) << n;
}

TEST(StoreEngineSpace, UsageIsKnownBeforeTheFirstPutAndALoweredQuotaHoldsAtOnce) {
  SmallStore store(71);
  for (uint64_t n = 0; n < 100; ++n) ASSERT_TRUE(store.put(n, kModest, 80'000).ok());
  const uint64_t used = store.usedBy(kModest);
  store.open({{kModest, kQuota}});
  EXPECT_EQ(store.usedBy(kModest), used);
  store.open({{kModest, kQuota / 2}});
  EXPECT_LE(store.usedBy(kModest), kQuota / 2);
  const Status refused = store.put(1000, kModest, kQuota / 2);
  EXPECT_EQ(refused.code(), ErrorCode::kOutOfSpace);
  EXPECT_NE(refused.message().find("quota"), std::string::npos) << refused.message();
  EXPECT_EQ(store.engine().figures().entries + store.engine().figures().evicted, 100u);
}

Bytes hangsOn(uint32_t depth, uint64_t parent) {
  Bytes out(33);
  out[0] = std::byte{static_cast<uint8_t>(depth)};
  std::ranges::copy(numberedKey(parent).bytes, out.begin() + 1);
  return out;
}

// Every second request is for one of a hot set of a third of the capacity, the others are for what
// is never asked for again. Bytes moved a byte put, once the policy knows them.
double movedPerPut(SmallStore& store, uint8_t kind) {
  constexpr uint64_t kHot = 200, kBytes = 30'000, kPuts = 4500;
  std::mt19937_64 random(7);
  uint64_t puts = 0, movedBefore = 0;
  for (uint64_t n = kHot; puts < kPuts; ++n) {
    const uint64_t hot = random() % kHot;
    if (puts < 2 * kPuts / 3) movedBefore = store.engine().figures().movedBytes;
    if (!store.get(hot)) puts += store.put(hot, kind, kBytes).ok();
    puts += store.put(n, kind, kBytes).ok();
  }
  const uint64_t moved = store.engine().figures().movedBytes - movedBefore;
  return static_cast<double>(moved) / (kBytes * kPuts / 3);
}

TEST(StoreEngineSpace, WhatStaysIsMovedOnceAndNotAgainWithWhatGoes) {
  SmallStore alike(5), other(5);
  const double apart = movedPerPut(alike, kAlike);
  EXPECT_LT(apart, 0.1);
  EXPECT_GT(movedPerPut(other, kOther), 0.3) << "one open segment, oldest first";
  EXPECT_EQ(alike.fileBytes(".words"), 0u) << "nothing needs to be told of what was evicted";
}

TEST(StoreEngineSpace, WhatWasRemovedStaysSoWhateverOrderSegmentsAreEmptiedIn) {
  SmallStore store(6);
  movedPerPut(store, kAlike);
  constexpr uint64_t kRemoved = 40;
  for (uint64_t n = 0; n < kRemoved; ++n) {
    const ErrorCode code = store.remove(n).code();
    ASSERT_TRUE(code == ErrorCode::kOk || code == ErrorCode::kNotFound);
  }
  for (uint64_t n = 0; n < 2000; ++n) ASSERT_TRUE(store.put(100'000 + n, kAlike, 30'000).ok());
  store.loseIndex();
  store.open({});
  for (uint64_t n = 0; n < kRemoved; ++n) EXPECT_FALSE(store.get(n)) << n;
}

// Chains that grow and are asked for in parts, through restarts, with more of them than there is
// room for: what is there has all that it hangs on.
TEST(StoreEngineSpace, NoSuffixIsKeptWithoutItsPrefix) {
  const uint64_t seed = 73;
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  SmallStore store(seed);
  constexpr uint64_t kChains = 60, kLength = 10;
  for (int round = 0; round < 6; ++round) {
    for (int i = 0; i < 120; ++i) {
      const uint64_t chain = std::min(random() % kChains, random() % kChains);
      for (uint32_t depth = 0; depth <= random() % kLength; ++depth) {
        const uint64_t n = chain * kLength + depth;
        if (store.get(n)) continue;
        ASSERT_TRUE(store.put(n, kFlood, 70'000, hangsOn(depth, n - 1)).ok());
      }
    }
    for (uint64_t n = 0; n < kChains * kLength; ++n) {
      const bool hangs = n % kLength > 0 && store.has(n);
      EXPECT_TRUE(!hangs || store.has(n - 1)) << n << ", round " << round;
    }
    store.open({});
  }
  EXPECT_GT(store.engine().figures().entries, 50u);
}

}  // namespace
}  // namespace spolia::store
