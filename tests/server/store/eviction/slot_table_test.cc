#include "server/store/eviction/slot_table.h"

#include <gtest/gtest.h>

#include <random>
#include <unordered_map>
#include <vector>

namespace spolia::store {
namespace {

constexpr SlotTable::Key kKeys = SlotTable::Key{1} << SlotTable::kKeyBits;

// Against a map, through growth and the reuse of slots.
TEST(SlotTable, FindsExactlyWhatIsThereAndGivesItsKeyBack) {
  constexpr uint32_t kSeed = 11;
  SCOPED_TRACE(kSeed);
  std::mt19937_64 random(kSeed);
  SlotTable table;
  std::unordered_map<SlotTable::Key, Slot> there(2'000'000);
  // More than fit before there come to be more buckets.
  std::vector<SlotTable::Key> keys(1'320'000);
  for (SlotTable::Key& key : keys) key = random() % kKeys;
  for (const SlotTable::Key key : keys) there[key] = table.insert(key);
  for (int step = 0; step < 100'000; ++step) {
    const SlotTable::Key key = keys[random() % keys.size()];
    const auto known = there.find(key);
    if (known == there.end()) {
      const Slot slot = table.insert(key);
      ASSERT_EQ(table.keyOf(slot), key) << "step " << step;
      there[key] = slot;
    } else if (random() % 4 == 0) {
      table.erase(known->second);
      there.erase(known);
    }
  }
  ASSERT_EQ(table.size(), there.size());
  std::vector<bool> given(keys.size());
  for (const auto& [key, slot] : there) {
    ASSERT_EQ(table.find(key), slot);
    ASSERT_EQ(table.insert(key), slot) << "is there already";
    ASSERT_EQ(table.keyOf(slot), key);
    ASSERT_FALSE(given[slot]) << "a slot given twice";
    given[slot] = true;
  }
  for (const SlotTable::Key key : keys) ASSERT_EQ(table.find(key) != kNoSlot, there.contains(key));
}

TEST(SlotTable, TakesAboutEightBytesAKey) {
  SlotTable table;
  std::mt19937_64 random(3);
  for (int i = 0; i < 1'400'000; ++i) table.insert(random() % kKeys);
  EXPECT_LE(table.stateBytes(), table.size() * 8);
}

}  // namespace
}  // namespace spolia::store
