#include <gtest/gtest.h>

#include <fstream>

#include "bench/policy/trace.h"
#include "tests/support/temporary_directory.h"

namespace spolia::bench {
namespace {

class MooncakeTraceTest : public ::testing::Test {
 protected:
  Result<Trace> read(const std::string& text) {
    const auto path = directory_.path() / "trace.jsonl";
    std::ofstream(path) << text;
    return readMooncake(path);
  }

  test::TemporaryDirectory directory_;
};

TEST_F(MooncakeTraceTest, ReadsRequests) {
  const auto trace = read(R"({"timestamp": 0, "input_length": 600, "hash_ids": [7, 9]}
{"timestamp": 30, "input_length": 1024, "output_length": 3, "hash_ids": [7, 11]}
)");
  ASSERT_TRUE(trace.ok()) << trace.status().toString();
  ASSERT_EQ(trace->requests.size(), 2u);
  EXPECT_EQ(trace->blocks, 3u);
  const Request &first = trace->requests[0], &second = trace->requests[1];
  EXPECT_TRUE(first.chained);
  EXPECT_EQ(first.blocks[0].tokens, 512u);
  EXPECT_EQ(first.blocks[1].tokens, 88u);
  EXPECT_EQ(second.timeMs, 30u);
  EXPECT_EQ(second.blocks[0].id, first.blocks[0].id);
  EXPECT_EQ(second.blocks[1].tokens, 512u);
  EXPECT_NE(second.session, first.session);
}

TEST_F(MooncakeTraceTest, NamesTheLineThatIsWrong) {
  const std::string good = R"({"timestamp": 0, "input_length": 600, "hash_ids": [7, 9]})";
  for (const std::string bad :
       {"x", "[]", "{}", R"({"timestamp": "0", "input_length": 600, "hash_ids": [7]})",
        R"({"timestamp": 0, "input_length": -1, "hash_ids": [7]})",
        R"({"timestamp": 0, "input_length": 600, "hash_ids": 7})",
        R"({"timestamp": 0, "input_length": 600, "hash_ids": [7, 8, 9]})",
        R"({"timestamp": 0, "input_length": 600, "hash_ids": ["a", 8]})"}) {
    const auto trace = read(good + "\n" + bad + "\n");
    ASSERT_FALSE(trace.ok()) << bad;
    EXPECT_NE(trace.status().message().find("line 2"), std::string::npos) << bad;
  }
  EXPECT_EQ(readMooncake("/nonexistent").status().code(), ErrorCode::kNotFound);
}

}  // namespace
}  // namespace spolia::bench
