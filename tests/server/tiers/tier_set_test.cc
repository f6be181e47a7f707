#include "server/tiers/tier_set.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <thread>

#include "server/tiers/memory_tier.h"
#include "tests/codec/codec_samples.h"
#include "tests/support/temporary_directory.h"

namespace spolia::tiers {
namespace {

using codec::ChunkCompletion;
using codec::EntryKind;
using codec::PutMode;
using codec::PutOutcome;

class TierSetTest : public ::testing::Test {
 protected:
  TierSetTest() { open(); }

  store::StoreConfig config() const {
    store::StoreConfig config;
    config.directory = directory_.path();
    config.capacityBytes = 64u << 20;
    config.segmentBytes = 4u << 20;
    config.queueDepth = 8;
    return config;
  }
  void open(uint64_t memoryBytes = 0) { open(config(), memoryBytes); }
  void open(const store::StoreConfig& config, uint64_t memoryBytes) {
    tiers_.reset();
    auto opened = TierSet::open(config, memoryBytes);
    ASSERT_TRUE(opened.ok()) << opened.status().toString();
    tiers_ = std::move(*opened);
  }

  // A chunk of three layers and 70 tokens, several frames.
  static AlignedBuffer stream(uint32_t seed, codec::Preset preset = codec::Preset::kHigh,
                              uint32_t values = 1) {
    codec::SampleKv kv(3, {2, 8}, 70, codec::ElementType::kF32);
    kv.fill(values);
    codec::EncodeOptions options;
    options.preset = preset;
    options.tokenGroup = 32;
    const auto bytes = codec::encodeStream(identity(seed), kv.layers, kv.view(), options);
    EXPECT_TRUE(bytes.ok());
    return AlignedBuffer::copyOf(*bytes);
  }
  static codec::ChunkIdentity identity(uint32_t seed) { return codec::sampleIdentity(70, seed); }
  static ChunkId idOf(uint32_t seed) { return codec::chunkIdOf(identity(seed)); }
  static ChunkId valueId(uint32_t seed) { return {sha256(asBytes(std::to_string(seed)))}; }

  ChunkCompletion wait() {
    auto done = queue_.waitPopFor(std::chrono::seconds(60));
    EXPECT_TRUE(done.has_value());
    return done ? std::move(*done) : ChunkCompletion();
  }
  ChunkCompletion put(AlignedBuffer bytes, PutMode mode = PutMode::kIfAbsent) {
    tiers_->submitStore(ns_, std::move(bytes), mode, 1, queue_);
    return wait();
  }
  ChunkCompletion fetch(const ChunkId& id, const codec::KvRange& range = {}) {
    tiers_->submitFetch(ns_, id, range, 2, queue_);
    return wait();
  }
  ChunkCompletion get(const ChunkId& id) {
    tiers_->submitGetValue(ns_, id, 3, queue_);
    return wait();
  }
  ChunkCompletion putValue(uint32_t seed, std::string_view text, PutMode mode = PutMode::kReplace,
                           EntryKind kind = EntryKind::kManifest) {
    ValuePut value;
    value.id = valueId(seed);
    value.kind = kind;
    value.label = "doc " + std::to_string(seed);
    value.bytes = AlignedBuffer::copyOf(asBytes(text));
    value.mode = mode;
    tiers_->submitPutValue(ns_, std::move(value), 4, queue_);
    return wait();
  }

  // Flips a bit in the store's files where these bytes stand.
  bool damage(ByteSpan bytes) const {
    const std::string text(asText(bytes));
    bool damaged = false;
    for (const auto& file : std::filesystem::recursive_directory_iterator(directory_.path())) {
      if (!file.is_regular_file()) continue;
      std::ifstream in(file.path(), std::ios::binary);
      const std::string content((std::istreambuf_iterator<char>(in)), {});
      const size_t at = content.find(text);
      if (at == std::string::npos) continue;
      std::fstream out(file.path(), std::ios::binary | std::ios::in | std::ios::out);
      out.seekp(static_cast<std::streamoff>(at + 10));
      out.put(static_cast<char>(content[at + 10] ^ 1));
      damaged = true;
    }
    return damaged;
  }
  // Fetched so often that it is in memory.
  void warm(uint32_t seed) {
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(fetch(idOf(seed)).status.ok());
    ASSERT_EQ(fetch(idOf(seed)).tier, codec::Tier::kMemory);
  }
  void expectFrames(const ChunkCompletion& done, ByteSpan stream) {
    ASSERT_TRUE(done.status.ok()) << done.status.toString();
    ASSERT_FALSE(done.frames.empty());
    for (size_t i = 0; i < done.frames.size(); ++i) {
      const codec::FrameEntry& frame = done.header->frames[done.frames[i].index];
      EXPECT_TRUE(
          std::ranges::equal(done.frame(i).bytes, stream.subspan(frame.offset, frame.size)));
    }
  }

  test::TemporaryDirectory directory_;
  std::unique_ptr<TierSet> tiers_;
  Namespace ns_ = embeddedNamespace();
  codec::ChunkQueue queue_;
};

TEST_F(TierSetTest, StoredChunkIsFoundOpenedFetchedAndDecoded) {
  const AlignedBuffer bytes = stream(1);
  const ChunkCompletion stored = put(AlignedBuffer::copyOf(bytes.span()));
  ASSERT_TRUE(stored.status.ok()) << stored.status.toString();
  EXPECT_EQ(stored.cookie, 1u);
  EXPECT_EQ(stored.outcome, PutOutcome::kStored);
  for (int life = 0; life < 2; ++life) {
    const ChunkId ids[] = {idOf(1), idOf(2)};
    const auto found = tiers_->lookup(ns_, ids);
    ASSERT_TRUE(found[0].ok()) << found[0].status().toString();
    EXPECT_EQ(found[0]->id, idOf(1));
    EXPECT_EQ(found[0]->kind, EntryKind::kChunk);
    EXPECT_EQ(found[0]->bytes, bytes.size());
    EXPECT_EQ(found[0]->tokens, 70u);
    EXPECT_EQ(found[0]->preset, codec::Preset::kHigh);
    EXPECT_EQ(found[0]->levels, 2);
    EXPECT_EQ(found[1].status().code(), ErrorCode::kNotFound);

    tiers_->submitOpen(ns_, idOf(1), 5, queue_);
    const ChunkCompletion opened = wait();
    ASSERT_TRUE(opened.status.ok()) << opened.status.toString();
    EXPECT_EQ(opened.header->identity, identity(1));
    EXPECT_TRUE(
        std::ranges::equal(opened.bytes.span(), bytes.span().first(opened.header->headerBytes)));

    const ChunkCompletion fetched = fetch(idOf(1));
    ASSERT_TRUE(fetched.status.ok()) << fetched.status.toString();
    EXPECT_EQ(fetched.tier, codec::Tier::kDisk);
    EXPECT_GT(fetched.bytesRead, 0u);
    ASSERT_EQ(fetched.frames.size(), 18u);  // two levels
    codec::SampleKv direct(3, {2, 8}, 70, codec::ElementType::kF32);
    codec::SampleKv through = direct;
    ASSERT_TRUE(codec::decodeStream(bytes.span(), *fetched.header, {}, direct.target()).ok());
    std::vector<codec::FrameBytes> frames;
    for (size_t i = 0; i < fetched.frames.size(); ++i) frames.push_back(fetched.frame(i));
    ASSERT_TRUE(codec::decodeFrames(*fetched.header, frames, {}, through.target()).ok());
    EXPECT_EQ(direct.bytes, through.bytes);
    open();
  }
}

TEST_F(TierSetTest, RangesGiveTheirFramesOnly) {
  ASSERT_TRUE(put(stream(1)).status.ok());
  codec::KvRange range;
  range.layerBegin = 1;
  range.tokenBegin = 64;
  const ChunkCompletion fetched = fetch(idOf(1), range);
  ASSERT_TRUE(fetched.status.ok()) << fetched.status.toString();
  // Two layers, the last token group, two levels.
  constexpr uint32_t kExpected[] = {5, 8, 14, 17};
  ASSERT_EQ(fetched.frames.size(), std::size(kExpected));
  for (size_t i = 0; i < std::size(kExpected); ++i) {
    EXPECT_EQ(fetched.frames[i].index, kExpected[i]);
    EXPECT_TRUE(codec::verifyFrame(*fetched.header, fetched.frame(i)).ok());
  }
  range.tokenBegin = 70;
  const ChunkCompletion nothing = fetch(idOf(1), range);
  EXPECT_TRUE(nothing.status.ok());
  EXPECT_TRUE(nothing.frames.empty());
}

TEST_F(TierSetTest, BadStreamsAreRefusedAndNothingIsStored) {
  const AlignedBuffer good = stream(1);
  for (size_t at : {size_t{0}, size_t{40}, good.size() / 2, good.size() - 1}) {
    AlignedBuffer bad = AlignedBuffer::copyOf(good.span());
    bad.data()[at] ^= std::byte{16};
    EXPECT_EQ(put(std::move(bad)).status.code(), ErrorCode::kCorrupt) << at;
  }
  EXPECT_EQ(put(AlignedBuffer::copyOf(good.span().first(100))).status.code(), ErrorCode::kCorrupt);
  EXPECT_EQ(put(AlignedBuffer()).status.code(), ErrorCode::kCorrupt);
  EXPECT_EQ(tiers_->stats().entries, 0u);
}

TEST_F(TierSetTest, FirstBytesStayUnlessAskedOtherwise) {
  const AlignedBuffer first = stream(1, codec::Preset::kHigh, 1);
  ASSERT_EQ(put(AlignedBuffer::copyOf(first.span())).outcome, PutOutcome::kStored);
  ASSERT_EQ(put(AlignedBuffer::copyOf(first.span())).outcome, PutOutcome::kExists);
  EXPECT_EQ(tiers_->stats().differingPuts, 0u);
  const ChunkCompletion differing = put(stream(1, codec::Preset::kHigh, 2));
  EXPECT_EQ(differing.outcome, PutOutcome::kExists);
  EXPECT_EQ(differing.info.preset, codec::Preset::kHigh);
  EXPECT_EQ(tiers_->stats().differingPuts, 1u);
  EXPECT_TRUE(std::ranges::equal(get(idOf(1)).bytes.span(), first.span()));

  EXPECT_EQ(put(stream(1, codec::Preset::kHigh, 2), PutMode::kIfFiner).outcome,
            PutOutcome::kExists);
  const ChunkCompletion finer = put(stream(1, codec::Preset::kLossless), PutMode::kIfFiner);
  EXPECT_EQ(finer.outcome, PutOutcome::kReplaced);
  EXPECT_EQ(finer.info.preset, codec::Preset::kLossless);
  EXPECT_EQ(put(stream(1), PutMode::kIfFiner).outcome, PutOutcome::kExists);
  EXPECT_EQ(put(stream(1), PutMode::kReplace).outcome, PutOutcome::kReplaced);
  EXPECT_EQ(put(stream(2), PutMode::kReplace).outcome, PutOutcome::kStored);
}

TEST_F(TierSetTest, ReplacedChunkIsNotReadWithItsOldHeader) {
  ASSERT_TRUE(put(stream(1)).status.ok());
  ASSERT_TRUE(fetch(idOf(1)).status.ok());
  const AlignedBuffer fine = stream(1, codec::Preset::kLossless);
  ASSERT_TRUE(put(AlignedBuffer::copyOf(fine.span()), PutMode::kReplace).status.ok());
  const ChunkCompletion fetched = fetch(idOf(1));
  ASSERT_TRUE(fetched.status.ok()) << fetched.status.toString();
  EXPECT_EQ(fetched.header->preset, codec::Preset::kLossless);
}

// Readers while the same chunk is replaced again and again: each sees one version whole.
TEST_F(TierSetTest, ReadsDuringReplacementsAreWholeOrMisses) {
  ASSERT_TRUE(put(stream(1)).status.ok());
  size_t expected = 0;
  for (uint32_t round = 0; round < 40; ++round) {
    tiers_->submitStore(
        ns_, stream(1, round % 2 ? codec::Preset::kLossless : codec::Preset::kHigh, round),
        PutMode::kReplace, 1, queue_);
    for (int i = 0; i < 4; ++i) tiers_->submitFetch(ns_, idOf(1), {}, 2, queue_);
    expected += 5;
  }
  size_t good = 0;
  for (; expected > 0; --expected) {
    const ChunkCompletion done = wait();
    if (!done.status.ok()) continue;
    ++good;
    for (size_t i = 0; i < done.frames.size(); ++i) {
      ASSERT_TRUE(codec::verifyFrame(*done.header, done.frame(i)).ok());
    }
  }
  EXPECT_GT(good, 40u);
}

TEST_F(TierSetTest, EveryWriterOfOneIdIsAnsweredOnceAndOneStores) {
  for (uint64_t i = 0; i < 20; ++i) {
    tiers_->submitStore(ns_, stream(1, codec::Preset::kHigh, static_cast<uint32_t>(i)),
                        PutMode::kIfAbsent, i, queue_);
  }
  std::map<PutOutcome, int> outcomes;
  std::set<uint64_t> cookies;
  for (int i = 0; i < 20; ++i) {
    const ChunkCompletion done = wait();
    ASSERT_TRUE(done.status.ok()) << done.status.toString();
    ++outcomes[done.outcome];
    cookies.insert(done.cookie);
  }
  EXPECT_EQ(outcomes[PutOutcome::kStored], 1);
  EXPECT_EQ(outcomes[PutOutcome::kExists], 19);
  EXPECT_EQ(cookies.size(), 20u);
  EXPECT_EQ(tiers_->stats().differingPuts, 19u);
}

TEST_F(TierSetTest, NamespacesDoNotSeeEachOther) {
  ASSERT_TRUE(put(stream(1)).status.ok());
  ASSERT_TRUE(putValue(1, "text").status.ok());
  const Namespace own = ns_;
  ns_ = {"other", sha256(asBytes("other secret"))};
  const ChunkId ids[] = {idOf(1)};
  EXPECT_EQ(tiers_->lookup(ns_, ids)[0].status().code(), ErrorCode::kNotFound);
  EXPECT_EQ(fetch(idOf(1)).status.code(), ErrorCode::kNotFound);
  EXPECT_EQ(get(valueId(1)).status.code(), ErrorCode::kNotFound);
  EXPECT_TRUE(tiers_->list(ns_, EntryKind::kManifest, "", 10)->entries.empty());
  tiers_->submitRemove(ns_, idOf(1), 9, queue_);
  EXPECT_EQ(wait().status.code(), ErrorCode::kNotFound);
  EXPECT_EQ(put(stream(1)).outcome, PutOutcome::kStored);
  EXPECT_TRUE(tiers_->lookup(own, ids)[0].ok());
}

TEST_F(TierSetTest, ValuesRoundTripAndAreReplaced) {
  EXPECT_EQ(putValue(1, "one").outcome, PutOutcome::kStored);
  EXPECT_EQ(putValue(1, "two").outcome, PutOutcome::kReplaced);
  EXPECT_EQ(putValue(1, "three", PutMode::kIfAbsent).outcome, PutOutcome::kExists);
  const ChunkCompletion got = get(valueId(1));
  ASSERT_TRUE(got.status.ok()) << got.status.toString();
  EXPECT_EQ(asText(got.bytes.span()), "two");
  EXPECT_EQ(got.info.label, "doc 1");
  EXPECT_EQ(got.info.kind, EntryKind::kManifest);
  tiers_->submitOpen(ns_, valueId(1), 5, queue_);
  EXPECT_EQ(wait().status.code(), ErrorCode::kNotFound);
  ASSERT_TRUE(putValue(2, "").status.ok());
  EXPECT_EQ(get(valueId(2)).bytes.size(), 0u);
  tiers_->submitRemove(ns_, valueId(1), 9, queue_);
  EXPECT_TRUE(wait().status.ok());
  EXPECT_EQ(get(valueId(1)).status.code(), ErrorCode::kNotFound);
}

TEST_F(TierSetTest, BadValuesAreRefused) {
  EXPECT_EQ(putValue(1, "x", PutMode::kReplace, EntryKind::kChunk).status.code(),
            ErrorCode::kInvalidArgument);
  ValuePut value;
  value.label = std::string(513, 'a');
  tiers_->submitPutValue(ns_, std::move(value), 4, queue_);
  EXPECT_EQ(wait().status.code(), ErrorCode::kInvalidArgument);
}

TEST_F(TierSetTest, ListGivesEachEntryOfAKindOnce) {
  std::set<std::string> expected;
  for (uint32_t i = 0; i < 23; ++i) {
    ASSERT_TRUE(putValue(i, "text").status.ok());
    expected.insert("doc " + std::to_string(i));
  }
  ASSERT_TRUE(put(stream(1)).status.ok());
  for (size_t limit : {1u, 5u, 23u, 100u}) {
    std::set<std::string> labels;
    std::string cursor;
    do {
      const auto page = tiers_->list(ns_, EntryKind::kManifest, cursor, limit);
      ASSERT_TRUE(page.ok()) << page.status().toString();
      ASSERT_LE(page->entries.size(), limit);
      for (const auto& entry : page->entries) ASSERT_TRUE(labels.insert(entry.label).second);
      cursor = page->next;
    } while (!cursor.empty());
    EXPECT_EQ(labels, expected) << limit;
  }
  EXPECT_EQ(tiers_->list(ns_, EntryKind::kChunk, "", 10)->entries.size(), 1u);
  EXPECT_EQ(tiers_->list(ns_, EntryKind::kChunk, "nonsense", 10).status().code(),
            ErrorCode::kInvalidArgument);
}

TEST_F(TierSetTest, HitsAndMissesAreCounted) {
  ASSERT_TRUE(put(stream(1)).status.ok());
  ASSERT_TRUE(fetch(idOf(1)).status.ok());
  EXPECT_FALSE(fetch(idOf(2)).status.ok());
  EXPECT_FALSE(get(idOf(2)).status.ok());
  const codec::StoreStats stats = tiers_->stats();
  EXPECT_EQ(stats.hits, 1u);
  EXPECT_EQ(stats.misses, 2u);
  EXPECT_EQ(stats.entries, 1u);
  EXPECT_EQ(stats.location, directory_.path().string());
  EXPECT_GT(stats.freeDiskBytes, 0u);
}

// Damage on the disk, found where the stream lies in the segment files, is a miss and never a
// wrong byte.
TEST_F(TierSetTest, DamageOnDiskIsACountedMiss) {
  const AlignedBuffer bytes = stream(1);
  ASSERT_TRUE(put(AlignedBuffer::copyOf(bytes.span())).status.ok());
  tiers_.reset();
  ASSERT_TRUE(damage(bytes.span().last(64)));
  open();
  const ChunkCompletion fetched = fetch(idOf(1));
  EXPECT_FALSE(fetched.status.ok());
  EXPECT_TRUE(fetched.frames.empty());
  EXPECT_EQ(tiers_->stats().hits, 0u);
  EXPECT_EQ(tiers_->stats().misses, 1u);
}

constexpr uint64_t kMemory = 8u << 20;

TEST_F(TierSetTest, WhatIsAskedForAgainComesFromMemory) {
  open(kMemory);
  const AlignedBuffer bytes = stream(1);
  ASSERT_TRUE(put(AlignedBuffer::copyOf(bytes.span())).status.ok());
  EXPECT_EQ(fetch(idOf(1)).tier, codec::Tier::kDisk);
  EXPECT_EQ(fetch(idOf(1)).tier, codec::Tier::kDisk);
  const uint64_t read = tiers_->stats().bytesRead;
  const ChunkCompletion third = fetch(idOf(1));
  EXPECT_EQ(third.tier, codec::Tier::kMemory);
  EXPECT_EQ(third.bytesRead, 0u);
  EXPECT_EQ(third.info.bytes, bytes.size());
  expectFrames(third, bytes.span());
  codec::KvRange range;
  range.layerBegin = 1;
  range.tokenBegin = 64;
  EXPECT_EQ(fetch(idOf(1), range).tier, codec::Tier::kMemory);
  const ChunkCompletion whole = get(idOf(1));
  EXPECT_EQ(whole.tier, codec::Tier::kMemory);
  EXPECT_TRUE(std::ranges::equal(whole.bytes.span(), bytes.span()));
  const codec::StoreStats stats = tiers_->stats();
  EXPECT_EQ(stats.bytesRead, read);
  EXPECT_EQ(stats.hits, 5u);
  EXPECT_EQ(stats.memoryHits, 3u);
  EXPECT_GT(stats.memoryServedBytes, 2 * whole.bytes.size());
  EXPECT_EQ(stats.memoryAdmittedBytes, bytes.size());
  EXPECT_GE(stats.memoryUsedBytes, bytes.size());
  EXPECT_EQ(stats.memoryCapacityBytes, kMemory);
  // What the disk says from now on does not matter to what was verified before.
  ASSERT_TRUE(damage(bytes.span().last(64)));
  expectFrames(fetch(idOf(1)), bytes.span());
}

TEST_F(TierSetTest, WithoutMemoryEveryFetchReadsTheDisk) {
  ASSERT_TRUE(put(stream(1)).status.ok());
  for (int i = 0; i < 4; ++i) {
    const ChunkCompletion done = fetch(idOf(1));
    EXPECT_EQ(done.tier, codec::Tier::kDisk);
    EXPECT_GT(done.bytesRead, 0u);
  }
  const ChunkId ids[] = {idOf(1)};
  tiers_->readAhead(ns_, ids);
  EXPECT_EQ(tiers_->stats().memoryUsedBytes, 0u);
  const auto refused = TierSet::open(config(), 1000);
  EXPECT_EQ(refused.status().code(), ErrorCode::kInvalidArgument);
}

TEST_F(TierSetTest, MemoryServesNothingThatIsGone) {
  open(kMemory);
  ASSERT_TRUE(put(stream(1)).status.ok());
  warm(1);
  const AlignedBuffer fresh = stream(1, codec::Preset::kHigh, 2);
  ASSERT_EQ(put(AlignedBuffer::copyOf(fresh.span()), PutMode::kReplace).outcome,
            PutOutcome::kReplaced);
  expectFrames(fetch(idOf(1)), fresh.span());
  warm(1);
  expectFrames(fetch(idOf(1)), fresh.span());
  tiers_->submitRemove(ns_, idOf(1), 9, queue_);
  ASSERT_TRUE(wait().status.ok());
  EXPECT_EQ(fetch(idOf(1)).status.code(), ErrorCode::kNotFound);
  EXPECT_EQ(get(idOf(1)).status.code(), ErrorCode::kNotFound);
  ASSERT_TRUE(put(stream(1)).status.ok());
  expectFrames(fetch(idOf(1)), stream(1).span());
}

// Found by a read of another part of the entry, or by whoever reads it: from then on it is absent.
TEST_F(TierSetTest, MemoryServesNothingThatWasFoundDamaged) {
  open(kMemory);
  const std::string text(300'000, 'v');
  ASSERT_TRUE(putValue(1, text, PutMode::kReplace, EntryKind::kOpaque).status.ok());
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(get(valueId(1)).status.ok());
  EXPECT_EQ(get(valueId(1)).tier, codec::Tier::kMemory);
  ASSERT_TRUE(damage(asBytes(text).last(100'000)));
  EXPECT_EQ(asText(get(valueId(1)).bytes.span()), text);
  open(kMemory);
  EXPECT_FALSE(get(valueId(1)).status.ok());
  EXPECT_EQ(get(valueId(1)).status.code(), ErrorCode::kNotFound);
}

TEST_F(TierSetTest, MemoryServesNothingThatTheStoreEvicted) {
  store::StoreConfig small = config();
  small.directory = directory_.path() / "small";
  small.segmentBytes = 1u << 20;
  small.capacityBytes = 10u << 20;
  small.eviction = "lru";
  open(small, kMemory);
  const std::string text(200'000, 'e');
  const auto putOpaque = [&](uint32_t seed) {
    ASSERT_TRUE(putValue(seed, text, PutMode::kReplace, EntryKind::kOpaque).status.ok());
  };
  for (uint32_t seed : {1u, 2u}) {
    putOpaque(seed);
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(get(valueId(seed)).status.ok());
    ASSERT_EQ(get(valueId(seed)).tier, codec::Tier::kMemory);
  }
  // The second is asked for again and again, from memory: the store keeps it. Where cleaning writes
  // it anew it is read once more.
  int fromMemory = 0;
  for (uint32_t seed = 100; seed < 200; ++seed) {
    putOpaque(seed);
    const ChunkCompletion done = get(valueId(2));
    ASSERT_TRUE(done.status.ok()) << seed;
    fromMemory += done.tier == codec::Tier::kMemory;
  }
  EXPECT_GT(fromMemory, 90);
  const codec::StoreStats stats = tiers_->stats();
  EXPECT_GE(stats.evicted, 60u);
  EXPECT_GT(stats.cleanedSegments, 0u);
  EXPECT_GT(stats.indexBytes, 0u);
  EXPECT_EQ(stats.readOnly, "");
  EXPECT_EQ(get(valueId(1)).status.code(), ErrorCode::kNotFound);
}

TEST_F(TierSetTest, WhatWasReadAheadIsThereWhenItIsFetched) {
  open(kMemory);
  std::vector<ChunkId> ids;
  for (uint32_t i = 0; i < 6; ++i) {
    ids.push_back(idOf(i));
    if (i != 3) {
      ASSERT_TRUE(put(stream(i)).status.ok());
    }
  }
  tiers_->readAhead(ns_, ids);
  for (uint32_t i = 0; i < 6; ++i) {
    const ChunkCompletion done = fetch(ids[i]);
    if (i == 3) {
      EXPECT_EQ(done.status.code(), ErrorCode::kNotFound);
      continue;
    }
    expectFrames(done, stream(i).span());
  }
  // Each was read once, whether its fetch came in time to join the read or later.
  const codec::StoreStats stats = tiers_->stats();
  constexpr uint64_t kDiskBlock = 4096;
  uint64_t held = 0;
  uint64_t blocks = 0;  // a record's header and what follows
  for (uint32_t i = 0; i < 6; ++i) {
    const uint64_t size = i == 3 ? 0 : stream(i).size();
    held += size;
    blocks += size == 0 ? 0 : 1 + (size + kDiskBlock - 1) / kDiskBlock;
  }
  EXPECT_EQ(stats.memoryAdmittedBytes + stats.memoryAheadBytes, held);
  EXPECT_LT(stats.bytesRead, 2 * blocks * kDiskBlock);
  for (uint32_t i : {0u, 1u, 2u}) EXPECT_EQ(fetch(ids[i]).tier, codec::Tier::kMemory);
}

// Many threads, few chunks, a memory that holds some of them, and replacements all the while: what
// is answered is one of the versions, whole.
TEST_F(TierSetTest, ManyReadersAndReplacementsSeeWholeVersions) {
  open(MemoryTier::kLeastCapacity);
  constexpr uint32_t kChunks = 6, kReaders = 4, kRounds = 150;
  std::vector<std::vector<AlignedBuffer>> versions(kChunks);
  for (uint32_t i = 0; i < kChunks; ++i) {
    for (uint32_t v = 1; v <= 3; ++v) {
      versions[i].push_back(stream(i, codec::Preset::kLossless, v));
    }
    ASSERT_TRUE(put(AlignedBuffer::copyOf(versions[i][0].span())).status.ok());
  }
  std::vector<std::thread> threads;
  std::atomic<uint32_t> good{0}, wrong{0};
  for (uint32_t t = 0; t < kReaders; ++t) {
    threads.emplace_back([&, t] {
      codec::ChunkQueue queue;
      for (uint32_t round = 0; round < kRounds; ++round) {
        const uint32_t chunk = (round * 7 + t * 3) % kChunks;
        const ChunkId ids[] = {idOf(chunk)};
        if (round % 16 == 0) tiers_->readAhead(ns_, ids);
        tiers_->submitFetch(ns_, ids[0], {}, 1, queue);
        const ChunkCompletion done = queue.waitPop();
        if (!done.status.ok()) continue;
        ++good;
        for (size_t i = 0; i < done.frames.size(); ++i) {
          wrong += !codec::verifyFrame(*done.header, done.frame(i)).ok();
        }
      }
    });
  }
  for (uint32_t round = 0; round < 40; ++round) {
    const uint32_t chunk = round % kChunks;
    const AlignedBuffer& next = versions[chunk][round % 3];
    ASSERT_TRUE(put(AlignedBuffer::copyOf(next.span()), PutMode::kReplace).status.ok());
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0u);
  EXPECT_GT(good, kReaders * kRounds / 2);
  EXPECT_LE(tiers_->stats().memoryUsedBytes, MemoryTier::kLeastCapacity);
}

TEST_F(TierSetTest, ClosingAnswersWhatWasAcceptedAndEndsReadingAhead) {
  open(kMemory);
  std::vector<ChunkId> ids;
  for (uint32_t i = 0; i < 8; ++i) {
    ids.push_back(idOf(i));
    ASSERT_TRUE(put(stream(i)).status.ok());
  }
  for (uint64_t i = 0; i < 32; ++i) {
    tiers_->readAhead(ns_, ids);
    tiers_->submitFetch(ns_, ids[i % 8], {}, i, queue_);
  }
  tiers_->readAhead(ns_, ids);
  tiers_.reset();
  EXPECT_EQ(queue_.drain().size(), 32u);
}

TEST_F(TierSetTest, ClosingAnswersWhatWasAccepted) {
  for (uint32_t i = 0; i < 8; ++i) {
    tiers_->submitStore(ns_, stream(i), PutMode::kIfAbsent, i, queue_);
    tiers_->submitFetch(ns_, idOf(i), {}, 100 + i, queue_);
  }
  tiers_.reset();
  EXPECT_EQ(queue_.drain().size(), 16u);
}

}  // namespace
}  // namespace spolia::tiers
