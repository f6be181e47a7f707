#include "codec/base/duration.h"

#include <gtest/gtest.h>

namespace spolia {
namespace {

TEST(Duration, ReadsWhatPeopleWrite) {
  EXPECT_EQ(*parseDuration("90"), 90u);
  EXPECT_EQ(*parseDuration("90s"), 90u);
  EXPECT_EQ(*parseDuration("10m"), 600u);
  EXPECT_EQ(*parseDuration("6 h"), 21600u);
  EXPECT_EQ(*parseDuration("30d"), 2592000u);
  EXPECT_EQ(*parseDuration("2w"), 1209600u);
}

TEST(Duration, RefusesWhatItCannotTell) {
  for (const char* text :
       {"", "m", "-1s", "1.5h", "10 minutes", "99999999999999999999", "99999999999999999w"}) {
    EXPECT_EQ(parseDuration(text).status().code(), ErrorCode::kInvalidArgument) << text;
  }
}

TEST(Duration, WritesTimes) {
  EXPECT_EQ(formatUtc(0), "1970-01-01T00:00:00Z");
  EXPECT_EQ(formatUtc(1772366400), "2026-03-01T12:00:00Z");
  EXPECT_EQ(formatUtc(UINT64_MAX), "18446744073709551615");
}

}  // namespace
}  // namespace spolia
