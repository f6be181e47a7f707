// A segment file that is gone, or shorter than it was: what stood there is a miss, the rest is
// served, and after one scrub the index names nothing that is not there.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "server/store/scrubber.h"
#include "tests/support/filled_store.h"

namespace spolia::store {
namespace {

constexpr uint64_t kLostEntries = 20;
constexpr size_t kEntryBytes = 600'000;

class LostSegment : public ::testing::TestWithParam<int> {};

TEST_P(LostSegment, CostsWhatStoodInIt) {
  test::FilledStore filled;
  filled.open();
  for (uint64_t key = 0; key < kLostEntries; ++key) filled.put(key, kEntryBytes);
  filled.close();
  const auto file = filled.segments() / "000002.seg";
  const uint64_t size = std::filesystem::file_size(file);
  GetParam() < 0
      ? static_cast<void>(std::filesystem::remove(file))
      : std::filesystem::resize_file(file, size / 100 * static_cast<uint64_t>(GetParam()));
  filled.open();
  uint64_t missing = 0;
  for (uint64_t key = 0; key < kLostEntries; key += 2) {
    const StoreCompletion got = filled.get(key);
    if (got.status.ok()) {
      EXPECT_TRUE(std::ranges::equal(got.range(), test::storePayload(key, kEntryBytes)));
    } else {
      ++missing;
      EXPECT_TRUE(got.range().empty());
    }
  }
  EXPECT_GT(missing, 0u);
  EXPECT_LT(missing, kLostEntries / 2);
  const auto scrubbed = scrubPass(filled.store(), StoreKey{}, [](uint64_t) { return true; });
  ASSERT_TRUE(scrubbed.ok()) << scrubbed.status().toString();
  for (uint64_t key = 0; key < kLostEntries; ++key) {
    const auto known = filled.store().find(test::storeKey(key));
    ASSERT_TRUE(known.ok());
    EXPECT_EQ(known->has_value(), filled.get(key).status.ok()) << key;
  }
  filled.put(100, kEntryBytes);
  EXPECT_TRUE(filled.get(100).status.ok());
}
INSTANTIATE_TEST_SUITE_P(PercentLeft, LostSegment, ::testing::Values(-1, 0, 50),
                         [](const auto& left) {
                           return left.param < 0 ? std::string("Gone") : std::to_string(left.param);
                         });

}  // namespace
}  // namespace spolia::store
