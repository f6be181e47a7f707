#include "server/tiers/tier_set.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

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

  void open() {
    tiers_.reset();
    store::StoreConfig config;
    config.directory = directory_.path();
    config.capacityBytes = 64u << 20;
    config.segmentBytes = 4u << 20;
    config.queueDepth = 8;
    auto opened = TierSet::open(config);
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
    EXPECT_EQ(found[0]->levels, 1);
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
    ASSERT_EQ(fetched.frames.size(), 9u);
    codec::SampleKv direct(3, {2, 8}, 70, codec::ElementType::kF32);
    codec::SampleKv through = direct;
    ASSERT_TRUE(codec::decodeStream(bytes.span(), *fetched.header, {}, direct.target()).ok());
    for (size_t i = 0; i < fetched.frames.size(); ++i) {
      ASSERT_TRUE(codec::decodeFrame(*fetched.header, fetched.frame(i), {}, through.target()).ok());
    }
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
  ASSERT_EQ(fetched.frames.size(), 2u);  // two layers, the last token group: two reads
  EXPECT_EQ(fetched.frames[0].index, 5u);
  EXPECT_EQ(fetched.frames[1].index, 8u);
  for (size_t i = 0; i < 2; ++i) {
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
  const std::string tail(asText(bytes.span().last(64)));
  bool damaged = false;
  for (const auto& file : std::filesystem::recursive_directory_iterator(directory_.path())) {
    if (!file.is_regular_file()) continue;
    std::ifstream in(file.path(), std::ios::binary);
    const std::string content((std::istreambuf_iterator<char>(in)), {});
    const size_t at = content.find(tail);
    if (at == std::string::npos) continue;
    std::fstream out(file.path(), std::ios::binary | std::ios::in | std::ios::out);
    out.seekp(static_cast<std::streamoff>(at + 10));
    out.put(static_cast<char>(content[at + 10] ^ 1));
    damaged = true;
  }
  ASSERT_TRUE(damaged);
  open();
  const ChunkCompletion fetched = fetch(idOf(1));
  EXPECT_FALSE(fetched.status.ok());
  EXPECT_TRUE(fetched.frames.empty());
  EXPECT_EQ(tiers_->stats().hits, 0u);
  EXPECT_EQ(tiers_->stats().misses, 1u);
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
