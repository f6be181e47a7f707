#include "server/store/store.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <random>

#include "server/store/io/ring.h"
#include "tests/support/filled_store.h"
#include "tests/support/temporary_directory.h"

namespace spolia::store {
namespace {

constexpr auto keyOf = test::storeKey;
constexpr auto payloadOf = test::storePayload;

class StoreTest : public ::testing::TestWithParam<IoBackend> {
 protected:
  StoreConfig config() {
    StoreConfig c;
    c.directory = directory_.path() / "store";
    c.segmentBytes = 4 << 20;
    c.capacityBytes = 18 << 20;  // four segments and the index
    c.io = GetParam();
    c.eviction = eviction_;
    return c;
  }
  void open() {
    store_.reset();
    auto opened = Store::open(config());
    ASSERT_TRUE(opened.ok()) << opened.status().toString();
    store_ = std::move(*opened);
  }
  StoreCompletion put(uint64_t key, ByteSpan payload, PutPolicy policy = PutPolicy::kIfAbsent) {
    PutRequest request;
    request.meta.key = keyOf(key);
    request.meta.kind = 1;
    request.meta.attributes = toBytes(asBytes("attributes of " + std::to_string(key)));
    request.payload = AlignedBuffer::copyOf(payload);
    request.policy = policy;
    store_->submitPut(std::move(request), key, queue_);
    return queue_.waitPop();
  }
  StoreCompletion get(uint64_t key, uint64_t offset = 0, uint64_t length = UINT64_MAX) {
    store_->submitGet(keyOf(key), offset, length, key, queue_);
    return queue_.waitPop();
  }
  StoreCompletion remove(uint64_t key) {
    store_->submitRemove(keyOf(key), key, queue_);
    return queue_.waitPop();
  }
  void expectPayload(uint64_t key, ByteSpan payload) {
    const StoreCompletion got = get(key);
    ASSERT_TRUE(got.status.ok()) << got.status.toString();
    ASSERT_EQ(got.range().size(), payload.size());
    EXPECT_TRUE(std::equal(payload.begin(), payload.end(), got.range().begin()));
  }

  // Of all files in the store's directory, or what they take if that is more.
  uint64_t onDisk() {
    uint64_t bytes = 0;
    for (const auto& file : std::filesystem::recursive_directory_iterator(config().directory)) {
      struct stat info;
      if (::stat(file.path().c_str(), &info) != 0 || !S_ISREG(info.st_mode)) continue;
      bytes += std::max<uint64_t>(static_cast<uint64_t>(info.st_size),
                                  static_cast<uint64_t>(info.st_blocks) * 512);
    }
    return bytes;
  }

  // Puts 64 zeros, or `bytes`, into the first segment.
  void overwrite(uint64_t block, uint64_t offset, ByteSpan bytes = Bytes(64)) {
    std::fstream f(config().directory / "segments" / "000001.seg",
                   std::ios::in | std::ios::out | std::ios::binary);
    f.seekp(static_cast<std::streamoff>(block * kDiskBlock + offset));
    f.write(asText(bytes).data(), static_cast<std::streamsize>(bytes.size()));
  }

  test::TemporaryDirectory directory_;
  std::string eviction_ = "none";
  StoreQueue queue_;
  std::unique_ptr<Store> store_;
};

TEST_P(StoreTest, KeepsWhatWasPutOverReopening) {
  open();
  const std::vector<size_t> sizes{0, 1, 4095, 4096, 65536, 65537, 300000, 1 << 20};
  for (size_t i = 0; i < sizes.size(); ++i) {
    EXPECT_TRUE(put(i, payloadOf(i, sizes[i])).status.ok());
  }
  for (int round = 0; round < 2; ++round) {
    for (size_t i = 0; i < sizes.size(); ++i) expectPayload(i, payloadOf(i, sizes[i]));
    EXPECT_EQ(store_->figures().entries, sizes.size());
    const auto found = store_->find(keyOf(3));
    ASSERT_TRUE(found.ok() && found->has_value());
    EXPECT_EQ(asText((*found)->attributes), "attributes of 3");
    EXPECT_EQ((*found)->payloadBytes, 4096u);
    open();
  }
}

TEST_P(StoreTest, RangesAreClippedAndExact) {
  open();
  const Bytes payload = payloadOf(7, 200000);
  ASSERT_TRUE(put(1, payload).status.ok());
  for (const auto& [offset, length] : std::vector<std::pair<uint64_t, uint64_t>>{{0, 10},
                                                                                 {65535, 2},
                                                                                 {131072, 65536},
                                                                                 {199999, 100},
                                                                                 {200000, 5},
                                                                                 {1 << 30, 5},
                                                                                 {5, 0}}) {
    const StoreCompletion got = get(1, offset, length);
    ASSERT_TRUE(got.status.ok());
    const uint64_t begin = std::min<uint64_t>(offset, payload.size());
    const uint64_t count = std::min<uint64_t>(length, payload.size() - begin);
    ASSERT_EQ(got.range().size(), count);
    EXPECT_TRUE(std::equal(got.range().begin(), got.range().end(), payload.begin() + begin));
  }
}

TEST_P(StoreTest, AbsenceRemovalAndReplacement) {
  open();
  EXPECT_EQ(get(1).status.code(), ErrorCode::kNotFound);
  EXPECT_EQ(remove(1).status.code(), ErrorCode::kNotFound);
  ASSERT_TRUE(put(1, payloadOf(1, 1000)).status.ok());
  const StoreCompletion again = put(1, payloadOf(2, 500));
  EXPECT_EQ(again.status.code(), ErrorCode::kAlreadyExists);
  EXPECT_EQ(again.meta->payloadBytes, 1000u);
  expectPayload(1, payloadOf(1, 1000));
  ASSERT_TRUE(put(1, payloadOf(2, 500), PutPolicy::kReplace).status.ok());
  expectPayload(1, payloadOf(2, 500));
  open();
  expectPayload(1, payloadOf(2, 500));
  EXPECT_TRUE(remove(1).status.ok());
  EXPECT_EQ(get(1).status.code(), ErrorCode::kNotFound);
  open();
  EXPECT_EQ(get(1).status.code(), ErrorCode::kNotFound);
  EXPECT_EQ(store_->figures().usedBytes, 0u);
}

TEST_P(StoreTest, MutationsOfOneKeyHappenInOrder) {
  open();
  for (uint64_t i = 0; i < 50; ++i) {
    PutRequest request;
    request.meta.key = keyOf(1);
    request.payload = AlignedBuffer::copyOf(payloadOf(i, 5000));
    request.policy = PutPolicy::kReplace;
    store_->submitPut(std::move(request), i, queue_);
  }
  for (uint64_t i = 0; i < 50; ++i) {
    const StoreCompletion done = queue_.waitPop();
    EXPECT_TRUE(done.status.ok());
    EXPECT_EQ(done.cookie, i);
  }
  expectPayload(1, payloadOf(49, 5000));
}

TEST_P(StoreTest, ManyWritersShareSyncs) {
  open();
  constexpr uint64_t kPuts = 200;
  for (uint64_t i = 0; i < kPuts; ++i) {
    PutRequest request;
    request.meta.key = keyOf(i);
    request.payload = AlignedBuffer::copyOf(payloadOf(i, 4000));
    store_->submitPut(std::move(request), i, queue_);
  }
  for (uint64_t i = 0; i < kPuts; ++i) EXPECT_TRUE(queue_.waitPop().status.ok());
  EXPECT_LT(store_->figures().syncs, kPuts);
  for (uint64_t i = 0; i < kPuts; ++i) expectPayload(i, payloadOf(i, 4000));
}

TEST_P(StoreTest, FullStoreSaysSoAndCanBeEmptied) {
  open();
  uint64_t stored = 0;
  StoreCompletion last;
  for (;; ++stored) {
    last = put(stored, payloadOf(stored, 500000));
    if (!last.status.ok()) break;
    ASSERT_LT(stored, 100u);
  }
  EXPECT_EQ(last.status.code(), ErrorCode::kOutOfSpace);
  EXPECT_GE(stored, 20u);  // nine tenths of three of four segments of 4 MiB
  for (uint64_t i = 0; i < stored; ++i) expectPayload(i, payloadOf(i, 500000));
  for (uint64_t i = 0; i < stored; ++i) EXPECT_TRUE(remove(i).status.ok());
  for (uint64_t i = 0; i < stored; ++i) {
    ASSERT_TRUE(put(1000 + i, payloadOf(i, 500000)).status.ok()) << i;
  }
  open();
  for (uint64_t i = 0; i < stored; ++i) {
    EXPECT_EQ(get(i).status.code(), ErrorCode::kNotFound);
    expectPayload(1000 + i, payloadOf(i, 500000));
  }
}

// Three of the four segments are for entries, nine tenths of them may be live.
TEST_P(StoreTest, AFullStoreEvictsWhatWasNotUsed) {
  for (const std::string policy : {"lru", "s3-fifo", "arc", "gdsf", "value"}) {
    SCOPED_TRACE(policy);
    std::filesystem::remove_all(config().directory);
    eviction_ = policy;
    open();
    constexpr uint64_t kPuts = 120, kBytes = 400000;
    for (uint64_t i = 0; i < kPuts; ++i) {
      ASSERT_TRUE(put(i, payloadOf(i, kBytes)).status.ok()) << i;
      get(0);  // used all the time
    }
    const auto expectSound = [&] {
      uint64_t there = 0;
      for (uint64_t i = 0; i < kPuts; ++i) {
        const StoreCompletion got = get(i);
        if (got.status.code() == ErrorCode::kNotFound) continue;
        const Bytes expected = payloadOf(i, kBytes);
        ASSERT_TRUE(got.status.ok()) << got.status.toString();
        EXPECT_TRUE(std::equal(expected.begin(), expected.end(), got.range().begin()));
        ++there;
      }
      EXPECT_GE(there, 20u);
      EXPECT_LT(there, 30u);
    };
    expectSound();
    const StoreFigures figures = store_->figures();
    EXPECT_GE(figures.evicted, kPuts - 30);
    EXPECT_GT(figures.cleanedSegments, 0u);
    EXPECT_LE(onDisk(), config().capacityBytes);
    open();
    expectSound();
    // What "value" keeps follows from what it has seen, which is little.
    if (policy != "value") expectPayload(0, payloadOf(0, kBytes));
    store_.reset();
  }
}

// Small entries, many of them: the index is what grows.
TEST_P(StoreTest, TheCapHoldsForTheIndexToo) {
  eviction_ = "lru";
  std::mt19937_64 random(5);
  uint64_t next = 0;
  for (int opening = 0; opening < 3; ++opening) {
    open();
    constexpr uint64_t kAtOnce = 100;
    for (int batch = 0; batch < 60; ++batch) {
      for (uint64_t i = 0; i < kAtOnce; ++i) {
        PutRequest request;
        request.meta.key = keyOf(random() % 3 == 0 ? random() % 2000 : 10'000 + next++);
        request.meta.attributes = payloadOf(random(), 900);
        request.policy = PutPolicy::kReplace;
        store_->submitPut(std::move(request), 0, queue_);
      }
      for (uint64_t i = 0; i < kAtOnce; ++i) {
        const StoreCompletion done = queue_.waitPop();
        ASSERT_TRUE(done.status.ok()) << done.status.toString();
      }
      ASSERT_LE(onDisk(), config().capacityBytes) << "after batch " << batch;
    }
    EXPECT_GT(store_->figures().evicted, 0u);
    EXPECT_GT(store_->figures().entries, 200u);
    EXPECT_LE(store_->figures().indexBytes, 2u << 20);
  }
}

TEST_P(StoreTest, ALoweredCapGivesTheDiskBack) {
  eviction_ = "lru";
  open();
  for (uint64_t i = 0; i < 26; ++i) ASSERT_TRUE(put(i, payloadOf(i, 400000)).status.ok());
  store_.reset();
  StoreConfig smaller = config();
  smaller.capacityBytes = 10 << 20;
  auto opened = Store::open(smaller);
  ASSERT_TRUE(opened.ok()) << opened.status().toString();
  store_ = std::move(*opened);
  store_.reset();  // finishes what it began
  EXPECT_LE(onDisk(), smaller.capacityBytes);
}

TEST_P(StoreTest, WhatMayNotGoIsRefusedOnceItFillsTheStore) {
  eviction_ = "lru";
  StoreConfig c = config();
  c.worthOf = [](const EntryMeta& meta) {
    EntryWorth worth;
    worth.evictable = meta.kind != 1;
    return worth;
  };
  auto opened = Store::open(c);
  ASSERT_TRUE(opened.ok());
  store_ = std::move(*opened);
  uint64_t stored = 0;
  while (put(stored, payloadOf(stored, 500000)).status.ok()) ++stored;
  EXPECT_GE(stored, 18u);
  ASSERT_LT(stored, 30u);
  for (uint64_t i = 0; i < stored; ++i) expectPayload(i, payloadOf(i, 500000));
  EXPECT_EQ(store_->figures().evicted, 0u);
}

// Entries that are replaced beside one that stays: its segment is emptied by moving it.
TEST_P(StoreTest, AnEntryThatStaysDoesNotHoldUpTheOthers) {
  open();
  ASSERT_TRUE(put(0, payloadOf(0, 300000)).status.ok());
  for (uint64_t i = 1; i <= 120; ++i) {
    ASSERT_TRUE(put(1 + i % 3, payloadOf(i, 700000), PutPolicy::kReplace).status.ok()) << i;
    if (i % 10 == 0) {
      ASSERT_TRUE(remove(1 + i % 3).status.ok());
    }
  }
  expectPayload(0, payloadOf(0, 300000));
  EXPECT_GT(store_->figures().movedBytes, 0u);
  open();
  expectPayload(0, payloadOf(0, 300000));
  expectPayload(1 + 119 % 3, payloadOf(119, 700000));
  EXPECT_EQ(get(1 + 120 % 3).status.code(), ErrorCode::kNotFound);
}

TEST_P(StoreTest, ReplacingOverAndOverDoesNotFillTheDisk) {
  open();
  for (uint64_t i = 0; i < 100; ++i) {
    ASSERT_TRUE(put(1, payloadOf(i, 900000), PutPolicy::kReplace).status.ok()) << i;
  }
  expectPayload(1, payloadOf(99, 900000));
}

TEST_P(StoreTest, LostIndexIsRebuiltToExactlyTheLiveSet) {
  open();
  for (uint64_t i = 0; i < 40; ++i) ASSERT_TRUE(put(i, payloadOf(i, 100000)).status.ok());
  for (uint64_t i = 0; i < 40; i += 3) ASSERT_TRUE(remove(i).status.ok());
  for (uint64_t i = 1; i < 40; i += 3) {
    ASSERT_TRUE(put(i, payloadOf(100 + i, 777), PutPolicy::kReplace).status.ok());
  }
  store_.reset();
  std::filesystem::remove_all(config().directory / "index");
  open();
  for (uint64_t i = 0; i < 40; ++i) {
    if (i % 3 == 0) {
      EXPECT_EQ(get(i).status.code(), ErrorCode::kNotFound);
    } else if (i % 3 == 1) {
      expectPayload(i, payloadOf(100 + i, 777));
    } else {
      expectPayload(i, payloadOf(i, 100000));
    }
  }
}

TEST_P(StoreTest, DamagedIndexIsRebuilt) {
  open();
  ASSERT_TRUE(put(1, payloadOf(1, 5000)).status.ok());
  store_.reset();
  std::ofstream(config().directory / "index" / "CURRENT") << "nonsense\n";
  open();
  expectPayload(1, payloadOf(1, 5000));
}

// Generations and sequences go on from what the segments show.
TEST_P(StoreTest, LostStoreFileReusesNoGeneration) {
  open();
  ASSERT_TRUE(put(1, payloadOf(1, 5000)).status.ok());
  ASSERT_TRUE(put(2, payloadOf(2, 5000)).status.ok());
  store_.reset();
  std::filesystem::remove(config().directory / "STORE");
  open();
  ASSERT_TRUE(put(1, payloadOf(11, 6000), PutPolicy::kReplace).status.ok());
  ASSERT_TRUE(put(3, payloadOf(3, 5000)).status.ok());
  store_.reset();
  std::filesystem::remove_all(config().directory / "index");
  open();
  expectPayload(1, payloadOf(11, 6000));
  expectPayload(2, payloadOf(2, 5000));
  expectPayload(3, payloadOf(3, 5000));
}

TEST_P(StoreTest, DamagedPayloadHidesNothingBehindItFromARebuild) {
  open();
  for (uint64_t i = 0; i < 4; ++i) ASSERT_TRUE(put(i, payloadOf(i, 9000)).status.ok());
  store_.reset();
  std::filesystem::remove_all(config().directory / "index");
  overwrite(1 + 4 + 1, 0);  // the second record's payload: segment block, a record, its header
  open();
  EXPECT_EQ(get(1).status.code(), ErrorCode::kNotFound);
  for (uint64_t i : {0, 2, 3}) expectPayload(i, payloadOf(i, 9000));
  ASSERT_TRUE(put(9, payloadOf(9, 9000)).status.ok());
  for (uint64_t i : {0, 2, 3, 9}) expectPayload(i, payloadOf(i, 9000));
}

// The same for a record's header, though its length is lost with it.
TEST_P(StoreTest, DamagedHeaderHidesNothingBehindItFromARebuild) {
  open();
  for (uint64_t i = 0; i < 5; ++i) ASSERT_TRUE(put(i, payloadOf(i, 9000)).status.ok());
  ASSERT_TRUE(remove(3).status.ok());
  store_.reset();
  std::filesystem::remove_all(config().directory / "index");
  overwrite(1 + 4, 0);  // segment block, four blocks a record
  open();
  EXPECT_EQ(get(1).status.code(), ErrorCode::kNotFound);
  EXPECT_EQ(get(3).status.code(), ErrorCode::kNotFound);
  for (uint64_t i : {0, 2, 4}) expectPayload(i, payloadOf(i, 9000));
  ASSERT_TRUE(put(9, payloadOf(9, 9000)).status.ok());
  open();
  for (uint64_t i : {0, 2, 4, 9}) expectPayload(i, payloadOf(i, 9000));
}

// What replaced a value was acknowledged: the older value does not come back for it.
TEST_P(StoreTest, DamagedReplacementDoesNotBringBackWhatItReplaced) {
  open();
  ASSERT_TRUE(put(1, payloadOf(1, 9000)).status.ok());
  ASSERT_TRUE(put(1, payloadOf(2, 9000), PutPolicy::kReplace).status.ok());
  ASSERT_TRUE(put(2, payloadOf(3, 9000)).status.ok());
  store_.reset();
  std::filesystem::remove_all(config().directory / "index");
  overwrite(1 + 4 + 1, 0);
  open();
  EXPECT_EQ(get(1).status.code(), ErrorCode::kNotFound);
  expectPayload(2, payloadOf(3, 9000));
}

// Bytes that read well again do not undo what was told.
TEST_P(StoreTest, QuarantinedStaysAbsent) {
  open();
  const Bytes payload = payloadOf(1, 9000);
  ASSERT_TRUE(put(1, payload).status.ok());
  store_.reset();
  overwrite(1 + 1, 0);
  open();
  EXPECT_EQ(get(1).status.code(), ErrorCode::kCorrupt);
  EXPECT_EQ(get(1).status.code(), ErrorCode::kNotFound);
  EXPECT_EQ(remove(1).status.code(), ErrorCode::kNotFound);
  store_.reset();
  overwrite(1 + 1, 0, payload);
  std::filesystem::remove_all(config().directory / "index");
  open();
  EXPECT_EQ(get(1).status.code(), ErrorCode::kNotFound);
}

TEST_P(StoreTest, SegmentByAnotherNameIsLeftAsItIs) {
  open();
  for (uint64_t i = 0; i < 4; ++i) ASSERT_TRUE(put(i, payloadOf(i, 9000)).status.ok());
  store_.reset();
  const auto segments = config().directory / "segments";
  std::filesystem::copy(segments / "000001.seg", segments / "000007.seg");
  std::filesystem::remove_all(config().directory / "index");
  open();
  for (uint64_t i = 0; i < 4; ++i) expectPayload(i, payloadOf(i, 9000));
  for (uint64_t i = 0; i < 4; ++i) ASSERT_TRUE(remove(i).status.ok());
  for (uint64_t i = 10; i < 14; ++i) ASSERT_TRUE(put(i, payloadOf(i, 1500000)).status.ok());
  open();
  for (uint64_t i = 0; i < 4; ++i) EXPECT_EQ(get(i).status.code(), ErrorCode::kNotFound);
  for (uint64_t i = 10; i < 14; ++i) expectPayload(i, payloadOf(i, 1500000));
}

TEST_P(StoreTest, LostSegmentIsMissesAndNothingElse) {
  open();
  for (uint64_t i = 0; i < 14; ++i) ASSERT_TRUE(put(i, payloadOf(i, 500000)).status.ok());
  store_.reset();
  std::filesystem::remove(config().directory / "segments" / "000001.seg");
  open();
  size_t missing = 0;
  for (uint64_t i = 0; i < 14; ++i) {
    const StoreCompletion got = get(i);
    if (!got.status.ok()) {
      EXPECT_EQ(got.status.code(), ErrorCode::kNotFound);
      ++missing;
    }
  }
  EXPECT_GT(missing, 0u);
  EXPECT_LT(missing, 14u);
}

// Every bit counts: header, attributes, checksums, payload. Padding aside.
TEST_P(StoreTest, FlippedBitsAreNeverServed) {
  open();
  const Bytes payload = payloadOf(1, 150000);
  ASSERT_TRUE(put(1, payload).status.ok());
  store_.reset();
  const auto file = config().directory / "segments" / "000001.seg";
  std::mt19937_64 random(42);
  for (int trial = 0; trial < 60; ++trial) {
    const std::filesystem::path copy = directory_.path() / "copy";
    std::filesystem::remove_all(copy);
    std::filesystem::copy(config().directory, copy, std::filesystem::copy_options::recursive);
    const bool header = trial % 3 == 0;
    const uint64_t at =
        kDiskBlock + (header ? random() % 128 : kDiskBlock + random() % payload.size());
    {
      std::fstream f(copy / "segments" / "000001.seg",
                     std::ios::in | std::ios::out | std::ios::binary);
      f.seekg(static_cast<std::streamoff>(at));
      const int byte = f.get();
      f.seekp(static_cast<std::streamoff>(at));
      f.put(static_cast<char>(byte ^ (1 << random() % 8)));
    }
    StoreConfig c = config();
    c.directory = copy;
    auto opened = Store::open(c);
    ASSERT_TRUE(opened.ok());
    StoreQueue queue;
    (*opened)->submitGet(keyOf(1), 0, UINT64_MAX, 0, queue);
    const StoreCompletion got = queue.waitPop();
    EXPECT_EQ(got.status.code(), ErrorCode::kCorrupt) << "byte " << at;
    EXPECT_TRUE(got.range().empty());
    EXPECT_EQ((*opened)->figures().corruptBlocks, 1u);
    (*opened)->submitGet(keyOf(1), 0, UINT64_MAX, 0, queue);
    EXPECT_EQ(queue.waitPop().status.code(), ErrorCode::kNotFound);  // quarantined: a plain miss
  }
}

TEST_P(StoreTest, ExpiredIsAbsentAndMayBePutAgain) {
  open();
  PutRequest request;
  request.meta.key = keyOf(1);
  request.meta.expiresAt = 1;  // long ago
  request.payload = AlignedBuffer::copyOf(payloadOf(1, 10));
  store_->submitPut(std::move(request), 0, queue_);
  ASSERT_TRUE(queue_.waitPop().status.ok());
  EXPECT_EQ(get(1).status.code(), ErrorCode::kNotFound);
  EXPECT_FALSE(store_->find(keyOf(1))->has_value());
  EXPECT_TRUE(put(1, payloadOf(2, 20)).status.ok());
  expectPayload(1, payloadOf(2, 20));
}

TEST_P(StoreTest, ManyAreFoundAsOneByOne) {
  open();
  for (uint64_t i = 0; i < 100; i += 2) ASSERT_TRUE(put(i, payloadOf(i, 10 + i)).status.ok());
  PutRequest expired;
  expired.meta.key = keyOf(1);
  expired.meta.expiresAt = 1;
  store_->submitPut(std::move(expired), 0, queue_);
  ASSERT_TRUE(queue_.waitPop().status.ok());
  std::vector<StoreKey> keys;
  for (uint64_t i : {7, 4, 98, 1, 4, 0, 1000}) keys.push_back(keyOf(i));
  const auto found = store_->findMany(keys);
  ASSERT_TRUE(found.ok());
  ASSERT_EQ(found->size(), keys.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    const auto one = store_->find(keys[i]);
    ASSERT_EQ((*found)[i].has_value(), one->has_value()) << i;
    if (!one->has_value()) continue;
    EXPECT_EQ((*found)[i]->key, keys[i]);
    EXPECT_EQ((*found)[i]->payloadBytes, (*one)->payloadBytes);
    EXPECT_EQ((*found)[i]->version, (*one)->version);
  }
  EXPECT_TRUE(store_->findMany({})->empty());
}

TEST_P(StoreTest, ListsInPages) {
  open();
  for (uint64_t i = 0; i < 25; ++i) ASSERT_TRUE(put(i, payloadOf(i, 10)).status.ok());
  std::vector<StoreKey> seen;
  std::optional<StoreKey> from = StoreKey{};
  while (from) {
    const auto page = store_->list(*from, 10);
    ASSERT_TRUE(page.ok());
    EXPECT_LE(page->entries.size(), 10u);
    for (const EntryMeta& entry : page->entries) seen.push_back(entry.key);
    from = page->next;
  }
  EXPECT_EQ(seen.size(), 25u);
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
}

TEST_P(StoreTest, SecondOpeningIsToldWhoHoldsIt) {
  open();
  const auto second = Store::open(config());
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.status().code(), ErrorCode::kUnavailable);
  EXPECT_NE(second.status().message().find(std::to_string(::getpid())), std::string::npos)
      << second.status().message();
}

TEST_P(StoreTest, NewerFormatIsRefusedUntouched) {
  open();
  ASSERT_TRUE(put(1, payloadOf(1, 5000)).status.ok());
  store_.reset();
  std::ofstream(config().directory / "STORE") << "spolia-store 99 7\n";
  const auto refused = Store::open(config());
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.status().code(), ErrorCode::kUnsupported);
  EXPECT_NE(refused.status().message().find("99"), std::string::npos);
  std::string text;
  std::getline(std::ifstream(config().directory / "STORE"), text);
  EXPECT_EQ(text, "spolia-store 99 7");
}

TEST_P(StoreTest, BadConfigurationNamesTheField) {
  StoreConfig c = config();
  c.segmentBytes = 12345;
  EXPECT_NE(Store::open(c).status().message().find("segmentBytes"), std::string::npos);
  c = config();
  c.capacityBytes = 1;
  EXPECT_NE(Store::open(c).status().message().find("capacityBytes"), std::string::npos);
}

// Bytes of each segment file.
std::vector<uintmax_t> segmentSizes(const std::filesystem::path& directory) {
  std::vector<uintmax_t> sizes;
  for (const auto& file : std::filesystem::directory_iterator(directory / "segments")) {
    sizes.push_back(file.file_size());
  }
  return sizes;
}

TEST_P(StoreTest, ASmallCapGetsSmallSegments) {
  StoreConfig c = config();
  c.segmentBytes = 0;
  c.capacityBytes = 512 << 20;
  store_ = *Store::open(c);
  ASSERT_TRUE(put(1, payloadOf(1, 5000)).status.ok());
  EXPECT_EQ(segmentSizes(c.directory), std::vector<uintmax_t>(1, 32 << 20));
}

// Were some segments longer than those that the cap is counted in, they would take more than it.
TEST_P(StoreTest, SegmentsKeepTheirSize) {
  open();
  ASSERT_TRUE(put(1, payloadOf(1, 5000)).status.ok());
  store_.reset();
  StoreConfig c = config();
  for (const uint64_t asked : {uint64_t{0}, uint64_t{1} << 20}) {
    c.segmentBytes = asked;
    store_ = *Store::open(c);
    ASSERT_TRUE(put(asked + 2, payloadOf(2, 2 << 20)).status.ok());
    store_.reset();
  }
  const auto sizes = segmentSizes(c.directory);
  EXPECT_GT(sizes.size(), 1u);
  EXPECT_EQ(sizes, std::vector<uintmax_t>(sizes.size(), 4 << 20));
  c.capacityBytes = 9 << 20;
  const Status refused = Store::open(c).status();
  EXPECT_EQ(refused.code(), ErrorCode::kInvalidArgument);
  EXPECT_NE(refused.message().find("two segments of 4194304"), std::string::npos)
      << refused.message();
}

TEST_P(StoreTest, TooLongPayloadIsRefusedWithTheLimit) {
  open();
  const StoreCompletion refused = put(1, Bytes(5 << 20));
  EXPECT_EQ(refused.status.code(), ErrorCode::kInvalidArgument);
  EXPECT_NE(refused.status.message().find("at most"), std::string::npos);
}

// A tail that was cut or zeroed anywhere leaves what stands before it, whole.
TEST_P(StoreTest, DamagedTailRecoversToAPrefix) {
  open();
  for (uint64_t i = 0; i < 6; ++i) ASSERT_TRUE(put(i, payloadOf(i, 9000)).status.ok());
  store_.reset();
  // 1 header block + 3 payload blocks a record, after the segment's own block.
  for (uint64_t block = 1; block <= 24; ++block) {
    const std::filesystem::path copy = directory_.path() / "copy";
    std::filesystem::remove_all(copy);
    std::filesystem::copy(config().directory, copy, std::filesystem::copy_options::recursive);
    std::filesystem::remove_all(copy / "index");
    {
      std::fstream f(copy / "segments" / "000001.seg",
                     std::ios::in | std::ios::out | std::ios::binary);
      f.seekp(static_cast<std::streamoff>(block * kDiskBlock));
      const std::vector<char> zeros((25 - block) * kDiskBlock);
      f.write(zeros.data(), static_cast<std::streamsize>(zeros.size()));
    }
    StoreConfig c = config();
    c.directory = copy;
    auto opened = Store::open(c);
    ASSERT_TRUE(opened.ok());
    EXPECT_EQ((*opened)->figures().entries, (block - 1) / 4) << block;
    // And it goes on from there.
    StoreQueue queue;
    PutRequest request;
    request.meta.key = keyOf(99);
    request.payload = AlignedBuffer::copyOf(payloadOf(99, 100));
    (*opened)->submitPut(std::move(request), 0, queue);
    EXPECT_TRUE(queue.waitPop().status.ok());
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, StoreTest,
                         ::testing::Values(IoBackend::kUring, IoBackend::kPread),
                         [](const auto& form) {
                           return form.param == IoBackend::kUring ? "Uring" : "Pread";
                         });

}  // namespace
}  // namespace spolia::store
