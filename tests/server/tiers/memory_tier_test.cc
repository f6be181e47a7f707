#include "server/tiers/memory_tier.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <random>
#include <tuple>

namespace spolia::tiers {
namespace {

constexpr uint64_t kBlock = MemoryTier::kBlockBytes;

StoreKey keyOf(uint64_t n) {
  StoreKey key;
  key.bytes = sha256(std::as_bytes(std::span(&n, 1)));
  return key;
}

// Bytes that tell where they belong.
Bytes bytesOf(uint64_t key, uint64_t version, uint32_t block, size_t size = kBlock) {
  std::mt19937_64 random(key * 1000003 + version * 1009 + block);
  Bytes out(size);
  for (size_t i = 0; i < size; i += 8) {
    const uint64_t word = random();
    std::memcpy(out.data() + i, &word, std::min<size_t>(8, size - i));
  }
  return out;
}

bool same(ByteSpan a, ByteSpan b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size()) == 0;
}

// Of a scan: smaller, so that there can be many.
constexpr uint64_t kSmall = 8u << 10;

// One request for one block, as the reader of payloads makes it. Whether it was held.
bool request(MemoryTier& memory, uint64_t key, uint32_t block = 0) {
  const BlockId id{keyOf(key), 1, block};
  if (!memory.find(id).empty()) return true;
  static const Bytes kBytes(kSmall);
  if (memory.ask(id.key, block)) memory.insert(id, kBytes, MemoryTier::Entrance::kAsked);
  return false;
}

TEST(MemoryTier, WithoutCapacityItHoldsNothing) {
  MemoryTier memory(0);
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(memory.ask(keyOf(1), 0));
  memory.insert({keyOf(1), 1, 0}, Bytes(100), MemoryTier::Entrance::kAsked);
  EXPECT_TRUE(memory.find({keyOf(1), 1, 0}).empty());
  EXPECT_EQ(memory.roomAhead(0, 0), 0u);
  EXPECT_EQ(memory.usedBytes(), 0u);
}

TEST(MemoryTier, WhatIsAskedForAgainIsWorthHolding) {
  MemoryTier memory(4 << 20);
  EXPECT_FALSE(memory.ask(keyOf(1), 0));
  EXPECT_FALSE(memory.ask(keyOf(1), 1)) << "another block";
  EXPECT_FALSE(memory.ask(keyOf(2), 0)) << "another entry";
  EXPECT_TRUE(memory.ask(keyOf(1), 0));
  const Bytes bytes = bytesOf(1, 7, 0);
  memory.insert({keyOf(1), 7, 0}, bytes, MemoryTier::Entrance::kAsked);
  EXPECT_TRUE(same(memory.find({keyOf(1), 7, 0}), bytes));
  EXPECT_TRUE(memory.find({keyOf(1), 7, 1}).empty());
  EXPECT_EQ(memory.figures().admittedBytes, kBlock);
  EXPECT_EQ(memory.figures().usedBytes, memory.usedBytes());
}

TEST(MemoryTier, OnlyTheVersionAskedForIsFound) {
  MemoryTier memory(4 << 20);
  const auto insert = [&](uint64_t version) {
    memory.insert({keyOf(1), version, 0}, bytesOf(1, version, 0), MemoryTier::Entrance::kAsked);
  };
  insert(5);
  insert(5);
  EXPECT_FALSE(memory.holds({keyOf(1), 6, 0}));
  EXPECT_TRUE(memory.find({keyOf(1), 6, 0}).empty());
  EXPECT_FALSE(memory.holds({keyOf(1), 5, 0})) << "replaced: nobody can ask for it any more";
  insert(6);
  insert(5);  // a read that was overtaken
  EXPECT_TRUE(same(memory.find({keyOf(1), 6, 0}), bytesOf(1, 6, 0)));
  insert(7);
  EXPECT_TRUE(same(memory.find({keyOf(1), 7, 0}), bytesOf(1, 7, 0)));
  memory.drop(keyOf(1));
  memory.drop(keyOf(2));
  EXPECT_TRUE(memory.find({keyOf(1), 7, 0}).empty());
}

// Against a model that remembers all that was ever put in: what is found is what was put in for
// that very version, and the bound holds after every call.
TEST(MemoryTier, BoundAndContentsHoldUnderRandomLoad) {
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    const auto below = [&](uint64_t n) { return random() % n; };
    const uint64_t capacity = (1 << 20) + below(1 << 20);
    MemoryTier memory(capacity);
    std::map<std::tuple<uint64_t, uint64_t, uint32_t>, size_t> put;  // key, version, block: size
    std::map<uint64_t, uint64_t> versions;
    uint64_t now = 0, found = 0;
    for (int step = 0; step < 4'000; ++step) {
      const uint64_t key = below(60), version = versions[key];
      const auto block = static_cast<uint32_t>(below(4));
      const BlockId id{keyOf(key), version, block};
      const uint64_t what = below(100);
      if (what < 50) {
        const ByteSpan held = memory.find(id);
        if (!held.empty()) {
          ++found;
          const auto size = put.find({key, version, block});
          ASSERT_NE(size, put.end());
          ASSERT_TRUE(same(held, bytesOf(key, version, block, size->second)));
        }
      } else if (what < 90) {
        const size_t some = 1 + below(below(8) == 0 ? kBlock : 12'000);
        const size_t size = put.try_emplace({key, version, block}, some).first->second;
        const auto entrance =
            what < 80 ? MemoryTier::Entrance::kAsked : MemoryTier::Entrance::kAhead;
        if (!memory.holds(id)) memory.insert(id, bytesOf(key, version, block, size), entrance);
      } else if (what < 94) {
        ++versions[key];
      } else if (what < 96) {
        memory.drop(keyOf(key));
        ASSERT_FALSE(memory.holds(id));
      } else if (what < 98) {
        memory.roomAhead(below(1000), now += below(3000));
      } else {
        memory.ask(keyOf(key), block);
      }
      ASSERT_LE(memory.usedBytes(), capacity);
    }
    EXPECT_GT(found, 200u);
    EXPECT_GT(memory.figures().evictedBytes, 0u);
    for (uint64_t key = 0; key < 60; ++key) memory.drop(keyOf(key));
    EXPECT_LT(memory.usedBytes(), 256u << 10) << "bookkeeping alone";
  }
}

// Also when the blocks are so small that they are bookkeeping above all.
TEST(MemoryTier, TheBoundCoversWhatTheAllocatorGives) {
  const auto allocated = [] {
    const auto info = ::mallinfo2();
    return info.uordblks + info.hblkhd;
  };
  const auto fill = [](MemoryTier& memory, size_t size) {
    const Bytes bytes(size);
    const uint64_t rounds = 2 * memory.capacity() / (size + 64);
    for (uint64_t i = 0; i < rounds; ++i) {
      memory.insert({keyOf(i), 1, 0}, bytes, MemoryTier::Entrance::kAsked);
    }
  };
  // What the allocator keeps for itself comes with the first use.
  MemoryTier first(2 << 20);
  fill(first, 1);
  for (size_t size : {size_t{1}, size_t{300}, size_t{5000}, size_t{kBlock}}) {
    const size_t before = allocated();
    MemoryTier memory(2 << 20);
    fill(memory, size);
    EXPECT_GT(memory.figures().evictedBytes, 0u) << size;
    EXPECT_LE(allocated() - before, memory.capacity()) << size;
  }
}

TEST(MemoryTier, AScanDoesNotFlushTheHotSet) {
  constexpr uint64_t kHot = 64, kHeld = 128;
  const auto heat = [](MemoryTier& memory) {
    for (int round = 0; round < 6; ++round) {
      for (uint64_t key = 0; key < kHot; ++key) request(memory, key);
    }
  };
  const auto hot = [](MemoryTier& memory) {
    int held = 0;
    for (uint64_t key = 0; key < kHot; ++key) held += memory.holds({keyOf(key), 1, 0});
    return held;
  };
  MemoryTier once(kHeld * kSmall);
  heat(once);
  ASSERT_EQ(hot(once), static_cast<int>(kHot));
  const uint64_t admitted = once.figures().admittedBytes;
  for (uint64_t key = 1000; key < 1000 + 20 * kHeld; ++key) EXPECT_FALSE(request(once, key));
  EXPECT_EQ(hot(once), static_cast<int>(kHot));
  EXPECT_LE(once.figures().admittedBytes - admitted, 4 * kSmall) << "a scan is not taken in";

  // One that asks for each block twice and a half, as a reader by overlapping ranges does.
  MemoryTier often(kHeld * kSmall);
  heat(often);
  for (uint64_t key = 1000; key < 1000 + 20 * kHeld; ++key) {
    for (uint64_t i = 0; i < 2 + key % 2; ++i) request(often, key);
  }
  EXPECT_EQ(hot(often), static_cast<int>(kHot));
}

TEST(MemoryTier, ReadAheadHasItsShareAndGivesItBack) {
  constexpr uint64_t kCapacity = 16 << 20;
  MemoryTier memory(kCapacity);
  const uint64_t room = memory.roomAhead(0, 1000);
  EXPECT_EQ(room, kCapacity / 16);
  EXPECT_EQ(memory.roomAhead(room + 1, 1000), 0u);
  const auto ahead = [&](uint64_t key) {
    memory.insert({keyOf(key), 1, 0}, bytesOf(key, 1, 0), MemoryTier::Entrance::kAhead);
  };
  for (uint64_t key = 0; key < 4; ++key) ahead(key);
  const uint64_t left = memory.roomAhead(0, 1000);
  EXPECT_LT(left, room - 4 * kBlock);
  EXPECT_EQ(memory.figures().aheadBytes, 4 * kBlock);
  EXPECT_FALSE(memory.find({keyOf(0), 1, 0}).empty());
  EXPECT_GE(memory.roomAhead(0, 2000), left + kBlock) << "asked for: not ahead any more";
  // The others were never asked for, and go; the first stays.
  EXPECT_EQ(memory.roomAhead(0, 60'000), room);
  EXPECT_TRUE(memory.holds({keyOf(0), 1, 0}));
  EXPECT_FALSE(memory.holds({keyOf(1), 1, 0}));
}

}  // namespace
}  // namespace spolia::tiers
