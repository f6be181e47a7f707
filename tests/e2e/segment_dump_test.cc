// spoliad --dump-segment on golden segments: what is printed, and what the exit code says.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/e2e/server_process.h"

namespace spolia::test {
namespace {

Outcome dump(std::vector<std::string> files, bool json = false) {
  std::vector<std::string> words = {spoliadProgram(), "--dump-segment"};
  for (const std::string& file : files) {
    words.push_back(file.front() == '/' ? file : SPOLIA_SOURCE_DIR "/tests/golden/store/" + file);
  }
  if (json) words.emplace_back("--json");
  return runCommand(words);
}

TEST(SegmentDump, AGoodSegmentIsShownAndGivesZero) {
  const Outcome shown = dump({"removed/000002.seg"});
  EXPECT_EQ(shown.code, 0);
  EXPECT_NE(shown.out.find("tombstone"), std::string::npos) << shown.out;
  EXPECT_EQ(shown.out.find("PROBLEM"), std::string::npos) << shown.out;
}

TEST(SegmentDump, DamageIsNamedWithItsOffsetAndGivesOne) {
  const Outcome shown = dump({"payload_bit/000001.seg", "plain/000001.seg"});
  EXPECT_EQ(shown.code, 1);
  EXPECT_NE(shown.out.find("16384  PROBLEM: payload block 0"), std::string::npos) << shown.out;
  EXPECT_NE(shown.out.find("plain/000001.seg"), std::string::npos)
      << "the second file is shown too";
}

TEST(SegmentDump, JsonIsJson) {
  const Outcome shown = dump({"header_bit/000001.seg"}, true);
  EXPECT_EQ(shown.code, 1);
  const auto parsed = nlohmann::json::parse(shown.out, nullptr, false);
  ASSERT_FALSE(parsed.is_discarded()) << shown.out;
  EXPECT_EQ(parsed["records"].size(), 2u);
  EXPECT_EQ(parsed["problems"][0]["offset"], 12288);
}

TEST(SegmentDump, AMissingFileIsNamed) {
  const Outcome shown = dump({"/nonexistent/000001.seg"});
  EXPECT_EQ(shown.code, 1);
  EXPECT_NE(shown.err.find("/nonexistent/000001.seg"), std::string::npos) << shown.err;
}

}  // namespace
}  // namespace spolia::test
