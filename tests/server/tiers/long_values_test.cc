// Values longer than a record, through a TierSet: segments are of 1 MiB here, so they need not be
// very long.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <thread>

#include "server/tiers/entry_attributes.h"
#include "server/tiers/memory_tier.h"
#include "server/tiers/tier_set.h"
#include "tests/codec/codec_samples.h"
#include "tests/support/filled_store.h"
#include "tests/support/temporary_directory.h"

namespace spolia::tiers {
namespace {

using codec::ChunkCompletion;
using codec::EntryKind;
using codec::PutMode;
using codec::PutOutcome;

constexpr uint64_t kMiB = 1 << 20;

class LongValues : public ::testing::Test {
 protected:
  LongValues() {
    config_.directory = directory_.path() / "store";
    config_.capacityBytes = 96 * kMiB;
    config_.segmentBytes = kMiB;
    config_.queueDepth = 8;
  }

  void open(uint64_t memoryBytes = 0) {
    tiers_.reset();
    auto opened = TierSet::open(config_, memoryBytes);
    ASSERT_TRUE(opened.ok()) << opened.status().toString();
    tiers_ = std::move(*opened);
  }
  // The records under the tiers, which are closed for it.
  std::unique_ptr<store::Store> records() {
    tiers_.reset();
    auto opened = store::Store::open(config_);
    EXPECT_TRUE(opened.ok()) << opened.status().toString();
    return std::move(*opened);
  }
  static std::vector<store::EntryMeta> all(store::Store& store) {
    auto page = store.list(StoreKey{}, 1 << 20);
    EXPECT_TRUE(page.ok());
    return std::move(page->entries);
  }
  static void remove(store::Store& store, const StoreKey& key) {
    store::StoreQueue queue;
    store.submitRemove(key, 1, queue);
    EXPECT_TRUE(queue.waitPop().status.ok());
  }

  static ChunkId idOf(uint64_t n) { return {sha256(asBytes("long " + std::to_string(n)))}; }
  static Bytes bytesOf(uint64_t seed, size_t size) { return test::storePayload(seed, size); }

  ChunkCompletion wait() {
    auto done = queue_.waitPopFor(std::chrono::seconds(60));
    EXPECT_TRUE(done.has_value());
    return done ? std::move(*done) : ChunkCompletion();
  }
  ChunkCompletion put(uint64_t n, const Bytes& bytes, PutMode mode = PutMode::kReplace) {
    ValuePut value;
    value.id = idOf(n);
    value.kind = EntryKind::kOpaque;
    value.label = "value " + std::to_string(n);
    value.bytes = AlignedBuffer::copyOf(bytes);
    value.mode = mode;
    tiers_->submitPutValue(ns_, std::move(value), 1, queue_);
    return wait();
  }
  ChunkCompletion get(const ChunkId& id) {
    tiers_->submitGetValue(ns_, id, 2, queue_);
    return wait();
  }
  bool has(uint64_t n, const Bytes& bytes) {
    const ChunkCompletion done = get(idOf(n));
    return done.status.ok() && std::ranges::equal(done.bytes.span(), bytes);
  }
  bool known(uint64_t n) {
    const ChunkId id = idOf(n);
    return tiers_->lookup(ns_, {&id, 1})[0].ok();
  }
  // Every extent belongs to an entry, and every entry has all of its extents.
  void expectWhole(store::Store& store) {
    std::map<StoreKey, store::EntryMeta> metas;
    for (const store::EntryMeta& meta : all(store)) metas[meta.key] = meta;
    size_t expected = 0, entries = 0;
    for (const auto& [key, meta] : metas) {
      if (meta.kind == kExtentKind) continue;
      ++entries;
      const auto attributes = readAttributes(meta.attributes);
      ASSERT_TRUE(attributes.ok());
      if (!attributes->extents) continue;
      for (uint32_t i = 1; i < attributes->extents->count(); ++i, ++expected) {
        EXPECT_TRUE(metas.contains(extentKeyOf(key, *attributes->extents, i)));
      }
    }
    EXPECT_EQ(metas.size(), entries + expected);
  }

  test::TemporaryDirectory directory_;
  store::StoreConfig config_;
  std::unique_ptr<TierSet> tiers_;
  Namespace ns_ = embeddedNamespace();
  codec::ChunkQueue queue_;
};

TEST_F(LongValues, ComeBackWholeAlsoFromAnIndexMadeAnew) {
  uint64_t longest = 0;
  longest = records()->longestPayload();
  const size_t each = longest / 8 / 65536 * 65536;
  const size_t lengths[] = {
      longest, longest + 1, 16 * each - 1, 16 * each, 16 * each + 1, 5 * kMiB + 4097, 0};
  open();
  for (const size_t length : lengths) {
    const ChunkCompletion done = put(length, bytesOf(length, length));
    ASSERT_TRUE(done.status.ok()) << done.status.toString();
    EXPECT_EQ(done.outcome, PutOutcome::kStored);
  }
  const auto expectAll = [&] {
    for (const size_t length : lengths) {
      const ChunkId id = idOf(length);
      const auto found = tiers_->lookup(ns_, {&id, 1});
      ASSERT_TRUE(found[0].ok()) << length;
      EXPECT_EQ(found[0]->bytes, length);
      EXPECT_TRUE(has(length, bytesOf(length, length))) << length;
    }
    const auto listed = tiers_->list(ns_, EntryKind::kOpaque, "", 100);
    ASSERT_TRUE(listed.ok());
    EXPECT_EQ(listed->entries.size(), std::size(lengths)) << "extents are nobody's entries";
    const auto ids = tiers_->ids(ns_, std::nullopt, StoreKey{}, 1000);
    ASSERT_TRUE(ids.ok());
    EXPECT_EQ(ids->ids.size(), std::size(lengths));
  };
  expectAll();
  open();
  expectAll();
  tiers_.reset();
  std::filesystem::remove_all(config_.directory / "index");
  open();
  expectAll();
}

TEST_F(LongValues, ChunksGiveTheirHeaderAndAnyRange) {
  codec::SampleKv kv(6, {4, 64}, 512, codec::ElementType::kF32);
  kv.fill(3);
  codec::EncodeOptions options;
  options.preset = codec::Preset::kLossless;
  options.tokenGroup = 32;
  const auto identity = codec::sampleIdentity(512, 9);
  const auto stream = codec::encodeStream(identity, kv.layers, kv.view(), options);
  ASSERT_TRUE(stream.ok());
  ASSERT_GT(stream->size(), kMiB + kMiB / 2);
  const ChunkId id = codec::chunkIdOf(identity);
  for (const uint64_t memory : {uint64_t{0}, 8 * kMiB}) {
    open(memory);
    tiers_->submitStore(ns_, AlignedBuffer::copyOf(*stream), PutMode::kIfAbsent, 1, queue_);
    ASSERT_TRUE(wait().status.ok());
    tiers_->readAhead(ns_, {&id, 1});
    tiers_->submitOpen(ns_, id, 2, queue_);
    EXPECT_EQ(wait().header->tokens(), 512u);
    std::mt19937 random(7);
    for (int i = 0; i < 100; ++i) {
      const uint32_t layer = random() % 6, token = random() % 512;
      const codec::KvRange range{layer, layer + 1 + static_cast<uint32_t>(random()) % (6 - layer),
                                 token,
                                 token + 1 + static_cast<uint32_t>(random()) % (512 - token)};
      tiers_->submitFetch(ns_, id, range, 3, queue_);
      const ChunkCompletion done = wait();
      ASSERT_TRUE(done.status.ok()) << done.status.toString();
      ASSERT_FALSE(done.frames.empty());
      for (size_t f = 0; f < done.frames.size(); ++f) {
        const codec::FrameEntry& frame = done.header->frames[done.frames[f].index];
        ASSERT_TRUE(std::ranges::equal(done.frame(f).bytes,
                                       ByteSpan(*stream).subspan(frame.offset, frame.size)));
      }
    }
    tiers_->submitGetValue(ns_, id, 4, queue_);
    EXPECT_TRUE(std::ranges::equal(wait().bytes.span(), *stream));
  }
}

TEST_F(LongValues, RemovedAndReplacedOnesLeaveNothing) {
  open();
  ASSERT_TRUE(put(1, bytesOf(1, 5 * kMiB)).status.ok());
  ASSERT_TRUE(put(2, bytesOf(2, 3 * kMiB)).status.ok());
  EXPECT_EQ(put(1, bytesOf(3, 4 * kMiB)).outcome, PutOutcome::kReplaced);
  EXPECT_EQ(put(1, bytesOf(4, 4 * kMiB), PutMode::kIfAbsent).outcome, PutOutcome::kExists);
  EXPECT_TRUE(has(1, bytesOf(3, 4 * kMiB)));
  EXPECT_EQ(put(2, bytesOf(5, 1000)).outcome, PutOutcome::kReplaced) << "a short one";
  expectWhole(*records());
  open();
  tiers_->submitRemove(ns_, idOf(1), 1, queue_);
  ASSERT_TRUE(wait().status.ok());
  EXPECT_EQ(get(idOf(1)).status.code(), ErrorCode::kNotFound);
  EXPECT_TRUE(has(2, bytesOf(5, 1000)));
  EXPECT_EQ(all(*records()).size(), 1u);
}

TEST_F(LongValues, ReadersOfReplacedOnesSeeOneOrTheOther) {
  open(8 * kMiB);
  const Bytes values[] = {bytesOf(1, 3 * kMiB), bytesOf(2, 3 * kMiB), bytesOf(3, 2000)};
  ASSERT_TRUE(put(1, values[0]).status.ok());
  std::atomic<bool> stop{false};
  std::thread reader([&] {
    codec::ChunkQueue queue;
    for (uint64_t n = 0; !stop || n < 20; ++n) {
      tiers_->submitGetValue(ns_, idOf(1), n, queue);
      const ChunkCompletion done = queue.waitPop();
      // Replaced all the time, a read may give up; it says so.
      if (done.status.code() == ErrorCode::kUnavailable) continue;
      if (done.status.code() == ErrorCode::kNotFound) continue;
      ASSERT_TRUE(done.status.ok()) << done.status.toString();
      EXPECT_TRUE(std::ranges::any_of(
          values, [&](const Bytes& v) { return std::ranges::equal(v, done.bytes.span()); }));
    }
  });
  for (int i = 1; i < 60; ++i) EXPECT_TRUE(put(1, values[i % 3]).status.ok());
  EXPECT_TRUE(has(1, values[59 % 3]));
  stop = true;
  reader.join();
  EXPECT_TRUE(has(1, values[59 % 3])) << "no reader took it for incomplete";
  expectWhole(*records());
}

TEST_F(LongValues, AMissingExtentIsAMissAndTheValueCanBePutAgain) {
  open();
  const Bytes bytes = bytesOf(1, 5 * kMiB);
  ASSERT_TRUE(put(1, bytes).status.ok());
  {
    const auto store = records();
    for (const store::EntryMeta& meta : all(*store)) {
      if (meta.kind != kExtentKind) continue;
      remove(*store, meta.key);
      break;
    }
  }
  open();
  EXPECT_EQ(get(idOf(1)).status.code(), ErrorCode::kNotFound);
  EXPECT_EQ(put(1, bytes, PutMode::kIfAbsent).outcome, PutOutcome::kStored);
  EXPECT_TRUE(has(1, bytes));
  expectWhole(*records());
}

TEST_F(LongValues, WhatACrashLeftOfOneIsRemovedByTheNextOpening) {
  open();
  ASSERT_TRUE(put(1, bytesOf(1, 5 * kMiB)).status.ok());
  ASSERT_TRUE(put(2, bytesOf(2, 5 * kMiB)).status.ok());
  {
    const auto store = records();
    for (const store::EntryMeta& meta : all(*store)) {
      const auto attributes = readAttributes(meta.attributes);
      if (meta.kind != kExtentKind && attributes->id == idOf(1)) remove(*store, meta.key);
    }
  }
  open();
  EXPECT_TRUE(has(2, bytesOf(2, 5 * kMiB)));
  expectWhole(*records());
}

class LongValuesFlood : public LongValues, public ::testing::WithParamInterface<const char*> {};

TEST_P(LongValuesFlood, AreGivenUpAsAWhole) {
  config_.eviction = GetParam();
  open();
  constexpr uint64_t kValues = 120;
  const auto sizeOf = [](uint64_t n) { return kMiB + n * 4000; };
  for (uint64_t n = 0; n < kValues; ++n) {
    const ChunkCompletion done = put(n, bytesOf(n, sizeOf(n)));
    ASSERT_TRUE(done.status.ok()) << done.status.toString();
    ASSERT_TRUE(put(1000 + n, bytesOf(n, 5000)).status.ok());
  }
  uint64_t there = 0;
  for (uint64_t n = 0; n < kValues; ++n) there += has(n, bytesOf(n, sizeOf(n))) ? 1 : 0;
  EXPECT_GE(there, 20u) << "there is room for some 55, less what emptying such segments takes";
  EXPECT_LT(there, kValues);
  expectWhole(*records());
}

INSTANTIATE_TEST_SUITE_P(Policies, LongValuesFlood, ::testing::Values("value", "lru", "s3-fifo"),
                         [](const auto& policy) {
                           std::string name = policy.param;
                           std::erase(name, '-');
                           return name;
                         });

TEST_F(LongValues, ALeaseHoldsAllOfThem) {
  config_.eviction = "lru";
  open();
  const Bytes bytes = bytesOf(1, 5 * kMiB);
  ASSERT_TRUE(put(1, bytes).status.ok());
  const ChunkId id = idOf(1);
  ASSERT_TRUE(tiers_->lease(ns_, 1, {&id, 1}, 60'000).ok());
  for (uint64_t n = 2; n < 40; ++n) ASSERT_TRUE(put(n, bytesOf(n, 4 * kMiB)).status.ok());
  EXPECT_FALSE(known(2));
  EXPECT_TRUE(has(1, bytes));
}

TEST_F(LongValues, WhatIsTooLongIsRefusedAndLeavesNothing) {
  open();
  ASSERT_TRUE(put(1, bytesOf(1, 3 * kMiB)).status.ok());
  const ChunkCompletion done = put(1, bytesOf(2, 40 * kMiB));
  EXPECT_EQ(done.status.code(), ErrorCode::kOutOfSpace) << done.status.toString();
  EXPECT_NE(done.status.message().find(std::to_string(40 * kMiB)), std::string::npos);
  EXPECT_TRUE(has(1, bytesOf(1, 3 * kMiB))) << "what was there stays";
  expectWhole(*records());
}

TEST_F(LongValues, OneThatFailsHalfWayLeavesNothing) {
  config_.quotas = [this]() -> Result<std::vector<store::OwnerQuota>> {
    return std::vector<store::OwnerQuota>{{ownerTagOf(namespaceTagOf(ns_)), 6 * kMiB}};
  };
  open();
  const ChunkCompletion done = put(1, bytesOf(2, 7 * kMiB));
  EXPECT_EQ(done.status.code(), ErrorCode::kOutOfSpace) << done.status.toString();
  EXPECT_TRUE(all(*records()).empty());
}

TEST_F(LongValues, ManyWritersTakeTurns) {
  config_.eviction = "value";
  open();
  for (uint64_t n = 0; n < 8; ++n) {
    ValuePut value;
    value.id = idOf(n);
    value.kind = EntryKind::kOpaque;
    value.bytes = AlignedBuffer::copyOf(bytesOf(n, 7 * kMiB));
    tiers_->submitPutValue(ns_, std::move(value), n, queue_);
  }
  for (int i = 0; i < 8; ++i) {
    const ChunkCompletion done = wait();
    EXPECT_TRUE(done.status.ok()) << done.status.toString();
  }
  expectWhole(*records());
}

TEST_F(LongValues, ADamagedExtentIsTheEndOfAll) {
  open();
  const Bytes bytes = bytesOf(1, 5 * kMiB);
  ASSERT_TRUE(put(1, bytes).status.ok());
  tiers_.reset();
  const std::string needle(asText(ByteSpan(bytes).subspan(4 * kMiB, 64)));
  bool damaged = false;
  for (const auto& file : std::filesystem::directory_iterator(config_.directory / "segments")) {
    std::fstream stream(file.path(), std::ios::binary | std::ios::in | std::ios::out);
    const std::string content((std::istreambuf_iterator<char>(stream)), {});
    const size_t at = content.find(needle);
    if (at == std::string::npos) continue;
    stream.seekp(static_cast<std::streamoff>(at));
    stream.put(static_cast<char>(content[at] ^ 1));
    damaged = true;
  }
  ASSERT_TRUE(damaged);
  open();
  EXPECT_EQ(get(idOf(1)).status.code(), ErrorCode::kCorrupt);
  EXPECT_TRUE(put(1, bytes).status.ok());
  EXPECT_TRUE(has(1, bytes));
  expectWhole(*records());
}

TEST_F(LongValues, AllOfThemEndTogether) {
  open();
  ValuePut value;
  value.id = idOf(1);
  value.kind = EntryKind::kOpaque;
  value.bytes = AlignedBuffer::copyOf(bytesOf(1, 3 * kMiB));
  value.lifetime.ttlSeconds = 1000;
  tiers_->submitPutValue(ns_, std::move(value), 1, queue_);
  ASSERT_TRUE(wait().status.ok());
  const auto store = records();
  const auto metas = all(*store);
  ASSERT_GT(metas.size(), 3u);
  for (const store::EntryMeta& meta : metas) {
    EXPECT_NE(meta.expiresAt, 0u);
    EXPECT_EQ(meta.expiresAt, metas[0].expiresAt);
  }
}

}  // namespace
}  // namespace spolia::tiers
