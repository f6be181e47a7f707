#include "server/store/segments/last_words.h"

#include <gtest/gtest.h>

#include "server/store/segments/segment_table.h"
#include "tests/support/sim_ring.h"

namespace spolia::store {
namespace {

constexpr size_t kMost = 1000;

StoreKey keyOf(uint8_t n) {
  StoreKey key;
  key.bytes.fill(std::byte{n});
  return key;
}

// As the next opening finds them.
LastWords reloaded(test::SimDisk& disk) {
  test::SimRing ring(disk);
  LastWords words;
  const auto names = ring.list();
  for (const std::string& name : *names) EXPECT_TRUE(words.load(ring, name).ok()) << name;
  return words;
}

TEST(LastWords, OutliveAPowerLossWithTheHighestNumberOfEachKey) {
  test::SimDisk disk(1);
  test::SimRing ring(disk);
  LastWords words;
  ASSERT_TRUE(words.write(ring, {{keyOf(1), 7}}, 0, kMost).ok());
  ASSERT_TRUE(words.write(ring, {{keyOf(1), 5}, {keyOf(2), 9}}, 0, kMost).ok());
  disk.crash();
  const LastWords found = reloaded(disk);
  EXPECT_EQ(found.all().size(), 2u);
  EXPECT_EQ(found.all().at(keyOf(1)), 7u);
  EXPECT_EQ(found.all().at(keyOf(2)), 9u);
  EXPECT_EQ(found.latest(), 9u);
}

TEST(LastWords, FilesAreMergedAndGoWithTheirLastWord) {
  test::SimDisk disk(1);
  constexpr uint64_t kWords = 100;
  {
    test::SimRing ring(disk);
    LastWords words;
    for (uint8_t n = 1; n <= kWords; ++n) {
      ASSERT_TRUE(words.write(ring, {{keyOf(n), n}}, 0, kMost).ok());
      EXPECT_LE(disk.contents().size(), 9u);
    }
  }
  disk.crash();
  test::SimRing ring(disk);
  LastWords again;
  const auto names = ring.list();
  for (const std::string& name : *names) ASSERT_TRUE(again.load(ring, name).ok());
  EXPECT_EQ(again.all().size(), kWords);
  ASSERT_TRUE(again.write(ring, {}, kWords, kMost).ok());
  EXPECT_EQ(again.all().size(), 1u) << "only what is older is forgotten";
  EXPECT_EQ(disk.contents().size(), 1u);
  ASSERT_TRUE(again.write(ring, {}, kWords + 1, kMost).ok());
  EXPECT_TRUE(again.all().empty());
  EXPECT_TRUE(disk.contents().empty());
}

TEST(LastWords, WhatCannotBeWrittenIsNotTakenIn) {
  test::SimDisk disk(1);
  test::SimRing ring(disk);
  LastWords words;
  ASSERT_TRUE(words.write(ring, {{keyOf(1), 7}}, 0, kMost).ok());
  EXPECT_EQ(words.write(ring, {{keyOf(2), 9}}, 0, 1).code(), ErrorCode::kOutOfSpace);
  disk.setFaults({.noSpace = 1});
  EXPECT_EQ(words.write(ring, {{keyOf(2), 9}}, 0, kMost).code(), ErrorCode::kOutOfSpace);
  EXPECT_EQ(words.all().size(), 1u);
  disk.setFaults({});
  EXPECT_EQ(reloaded(disk).all().size(), 1u);
}

TEST(LastWords, AnyDamageIsFoundAndTheNextWriteTakesTheFilesPlace) {
  const AlignedBuffer good = encodeLastWords({{keyOf(1), 7}, {keyOf(2), 9}});
  ASSERT_TRUE(parseLastWords(good.span()).ok());
  for (size_t at = 0; at < 120; ++at) {
    AlignedBuffer bad = AlignedBuffer::copyOf(good.span());
    bad.data()[at] ^= std::byte{1};
    EXPECT_FALSE(parseLastWords(bad.span()).ok()) << at;
  }
  for (const size_t length : {0, 10, 100}) {
    EXPECT_FALSE(parseLastWords(good.span().first(length)).ok()) << length;
  }
  test::SimDisk disk(1);
  disk.place(wordsFileName(3), good.span());
  disk.flipBit(wordsFileName(3), 30, 2);
  test::SimRing ring(disk);
  LastWords words;
  EXPECT_EQ(words.load(ring, wordsFileName(3)).code(), ErrorCode::kCorrupt);
  ASSERT_TRUE(words.write(ring, {{keyOf(1), 7}}, 1, kMost).ok());
  const auto files = disk.contents();
  ASSERT_EQ(files.size(), 1u);
  EXPECT_TRUE(files.contains(wordsFileName(4)));
}

TEST(LastWords, NamesOfFiles) {
  EXPECT_EQ(wordsFileName(12), "000012.words");
  EXPECT_EQ(wordsFileNumber("000012.words"), 12u);
  for (const char* other : {"12.words", "000012.words.tmp", "000012.seg", "words", ""}) {
    EXPECT_FALSE(wordsFileNumber(other)) << other;
  }
}

// The one that is emptied first is the one that was begun first, as long as there is room for what
// is live in it.
TEST(SegmentTable, WhatDoesNotFitIsPassedOver) {
  SegmentTable table;
  for (uint32_t i = 1; i <= 3; ++i) {
    Segment segment;
    segment.id = {i};
    segment.size = 1 << 20;
    segment.firstSequence = 10 * i;
    segment.lastSequence = 100 + i;
    segment.tombstones = 1;
    segment.liveBytes = 40960 - 8192 * i;
    table.add(segment);
  }
  EXPECT_EQ(table.nextToClean(1 << 20)->id.value, 1u);
  EXPECT_EQ(table.nextToClean(24576)->id.value, 2u);
  EXPECT_EQ(table.nextToClean(0)->id.value, 3u);
  EXPECT_EQ(table.oldestSequence(), 10u);
  table.cleanCheapest(kMost);
  EXPECT_EQ(table.nextToClean(1 << 20)->id.value, 3u) << "has the fewest live bytes";
  table.find(SegmentId{3})->tombstones = 500;
  EXPECT_EQ(table.nextToClean(1 << 20)->id.value, 2u) << "words are written too";
  table.cleanCheapest(400);
  table.find(SegmentId{2})->tombstones = table.find(SegmentId{1})->tombstones = 500;
  EXPECT_EQ(table.nextToClean(1 << 20)->id.value, 1u) << "there would be too many words";
  table.setUnseen();
  EXPECT_EQ(table.oldestSequence(), 0u);
}

}  // namespace
}  // namespace spolia::store
