#include "server/store/scrubber.h"

#include <gtest/gtest.h>

#include "tests/support/filled_store.h"
#include "tests/support/planted_flips.h"

namespace spolia::store {
namespace {

const auto kAll = [](uint64_t) { return true; };

TEST(Scrubber, FindsEveryPlantedFlipInOnePass) {
  constexpr uint64_t kEntries = 1000, kSeed = 3;
  test::FilledStore filled;
  filled.open();
  for (uint64_t key = 0; key < kEntries; ++key) filled.put(key, 1 + key * 37 % 12000);
  const auto clean = scrubPass(filled.store(), StoreKey{}, kAll);
  ASSERT_TRUE(clean.ok());
  EXPECT_EQ(clean->entries, kEntries);
  EXPECT_EQ(clean->damaged, 0u);
  filled.close();
  ASSERT_EQ(test::flipABitInEveryRecord(filled.segments(), kSeed), kEntries);
  filled.open();
  const auto found = scrubPass(filled.store(), StoreKey{}, kAll);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->damaged, kEntries) << "seed " << kSeed;
  // They are misses, before anybody asked for them.
  for (uint64_t key = 0; key < kEntries; key += 99) {
    EXPECT_EQ(filled.get(key).status.code(), ErrorCode::kNotFound);
  }
  EXPECT_EQ(scrubPass(filled.store(), StoreKey{}, kAll)->entries, 0u);
}

TEST(Scrubber, GoesOnFromAKeyAndEndsWhenTold) {
  test::FilledStore filled;
  filled.open();
  for (uint64_t key = 0; key < 600; ++key) filled.put(key, 10);
  StoreKey middle{};
  middle.bytes[0] = std::byte{0x80};
  const auto second = scrubPass(filled.store(), middle, kAll);
  ASSERT_TRUE(second.ok());
  EXPECT_GT(second->entries, 200u);
  EXPECT_LT(second->entries, 400u);
  uint64_t seen = 0;
  const auto some = scrubPass(filled.store(), StoreKey{}, [&](uint64_t bytes) {
    EXPECT_EQ(bytes, 2 * kDiskBlock);
    return ++seen < 300;
  });
  ASSERT_TRUE(some.ok());
  EXPECT_EQ(some->entries, 300u);
}

// Being read for that is no use: what nobody asked for still goes first.
TEST(Scrubber, IsNoUseInTheEyesOfThePolicy) {
  test::FilledStore filled;
  filled.config().eviction = "lru";
  filled.config().capacityBytes = 18 << 20;
  filled.open();
  for (uint64_t key = 0; key < 20; ++key) filled.put(key, 500000);
  for (uint64_t key = 10; key < 20; ++key) EXPECT_TRUE(filled.get(key).status.ok());
  ASSERT_TRUE(scrubPass(filled.store(), StoreKey{}, kAll).ok());
  for (uint64_t key = 20; key < 28; ++key) filled.put(key, 500000);
  for (uint64_t key = 10; key < 20; ++key) EXPECT_TRUE(filled.get(key).status.ok()) << key;
  EXPECT_EQ(filled.get(0).status.code(), ErrorCode::kNotFound);
}

TEST(Scrubber, AStoreScrubsItselfUntilItIsClosed) {
  test::FilledStore filled;
  filled.open();
  for (uint64_t key = 0; key < 50; ++key) filled.put(key, 5000);
  filled.close();
  filled.config().scrubBytesPerSecond = UINT64_MAX;
  filled.open();
  while (filled.store().figures().scrubbedEntries < 50) std::this_thread::yield();
  filled.close();
  filled.config().scrubBytesPerSecond = 1;  // an entry takes hours: closing does not wait for it
  filled.open();
  filled.close();
}

}  // namespace
}  // namespace spolia::store
