#include "server/store/eviction/ghost_table.h"

#include "tests/server/store/eviction/driven_cache.h"

namespace spolia::store {
namespace {

TEST(GhostTableTest, RemembersWhatWasPutAndWhen) {
  GhostTable table;
  table.reserve(1024);
  for (uint32_t key = 0; key < 512; ++key) {
    table.put(hashOf(key), {.usedAt = 1000 + key,
                            .seen = static_cast<uint8_t>(key % 16),
                            .meanGap = static_cast<uint8_t>(key % 64)});
  }
  int found = 0;
  for (uint32_t key = 0; key < 512; ++key) {
    const auto ghost = table.find(hashOf(key));
    if (!ghost) continue;
    ++found;
    constexpr uint8_t kSeen[] = {0, 1, 2, 3, 4, 4, 6, 6, 6, 6, 10, 10, 10, 10, 10, 15};
    EXPECT_EQ(ghost->seen, kSeen[key % 16]);
    EXPECT_EQ(ghost->meanGap, key % 64);
    if (key > 256) {
      EXPECT_LE(ghost->usedAt, 1000 + key);
      EXPECT_GE(ghost->usedAt + 257, 1000 + key) << "off by more than a quarter of the places";
    }
  }
  EXPECT_GT(found, 480) << "half full, few buckets overflow";
}

TEST(GhostTableTest, TheNewestStayAndUnknownKeysAreUnknown) {
  GhostTable table;
  table.reserve(1000);
  ASSERT_EQ(table.places(), 1000u);
  for (uint32_t key = 0; key < 100000; ++key) table.put(hashOf(key), {.usedAt = key});
  int recent = 0, false_ = 0;
  for (uint32_t key = 99700; key < 100000; ++key) recent += table.find(hashOf(key)).has_value();
  for (uint32_t key = 200000; key < 300000; ++key) false_ += table.find(hashOf(key)).has_value();
  EXPECT_GT(recent, 280);
  EXPECT_LT(false_, 300);
}

TEST(GhostTableTest, GrowingKeepsMostOfWhatIsKnown) {
  GhostTable table;
  table.reserve(256);
  for (uint32_t key = 0; key < 64; ++key) table.put(hashOf(key), {.usedAt = key, .seen = 3});
  std::vector<uint32_t> known;
  for (uint32_t key = 0; key < 64; ++key) {
    if (table.find(hashOf(key))) known.push_back(key);
  }
  ASSERT_GT(known.size(), 50u);
  table.reserve(300);
  EXPECT_EQ(table.places(), 256u) << "not worth a step yet";
  table.reserve(512);
  EXPECT_EQ(table.places(), 512u);
  for (const uint32_t key : known) EXPECT_TRUE(table.find(hashOf(key))) << key;
  table.reserve(701);
  size_t kept = 0;
  for (const uint32_t key : known) kept += table.find(hashOf(key)).has_value();
  EXPECT_GT(kept, known.size() / 2);
}

TEST(GhostTableTest, NothingReservedNothingFound) {
  EXPECT_FALSE(GhostTable().find(hashOf(1)));
}

}  // namespace
}  // namespace spolia::store
