#include "engine/name_distance.h"

#include <gtest/gtest.h>

namespace spolia::engine {
namespace {

TEST(NameDistance, CountsEdits) {
  EXPECT_EQ(editDistance("", ""), 0u);
  EXPECT_EQ(editDistance("abc", ""), 3u);
  EXPECT_EQ(editDistance("kitten", "sitting"), 3u);
  EXPECT_EQ(editDistance("form", "from"), 1u) << "a swap is one edit";
}

TEST(NameDistance, SuggestsOnlyWhatIsNear) {
  const std::vector<std::string> known = {"link.method", "link.k", "ask.template"};
  EXPECT_EQ(nearestName("link.metod", known), "link.method");
  EXPECT_EQ(nearestName("link.j", known), "link.k");
  EXPECT_EQ(nearestName("wholly.other", known), std::nullopt);
  EXPECT_EQ(nearestName("link.k", {}), std::nullopt);
}

}  // namespace
}  // namespace spolia::engine
