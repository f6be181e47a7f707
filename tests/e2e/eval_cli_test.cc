// `spolia-engine eval` as people run it: worlds in, a table, JSON, answers and a picture out; bad
// input named.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/e2e/server_process.h"

namespace spolia::test {
namespace {

namespace fs = std::filesystem;

class EvalCli : public testing::Test {
 protected:
  Outcome eval(std::vector<std::string> words) {
    words.insert(words.begin(), {programPath("engine/spolia-engine"), "eval"});
    words.insert(words.end(), {"--model", std::string(SPOLIA_SOURCE_DIR) + "/engine/models/micro"});
    return runCommand(words);
  }
  std::string file(const std::string& name, const std::string& text) const {
    std::ofstream(directory_.path() / name) << text;
    return (directory_.path() / name).string();
  }
  std::string worlds() const {
    return file("worlds.jsonl",
                R"({"family": "here", "chunks": ["Peter lives in the city of Oslo.\n", )"
                R"("Maria lives in the city of Rome.\n"], "question": "Where does Maria live?", )"
                R"("answer": "Rome", "dependent_chunk": 1, "dependent_char": 0})"
                "\n"
                R"({"family": "there", "chunks": ["Maria lives in the city of Paris.\n"], )"
                R"("question": "Where does Maria live?", "answer": "nowhere"})"
                "\n");
  }

  TemporaryDirectory directory_;
};

TEST_F(EvalCli, TableAnswersAndPlot) {
  const fs::path plot = directory_.path() / "plot.png", answers = directory_.path() / "a.jsonl";
  const Outcome outcome = eval({worlds(), "--methods", "full,reuse,first-k:2", "--presets",
                                "lossless,high", "--plot", plot, "--answers", answers});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("first-k:2"), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find("100.0 (1)"), std::string::npos) << outcome.out;
  EXPECT_GT(fs::file_size(plot), 1000u);
  std::ifstream lines(answers);
  std::string line;
  ASSERT_TRUE(std::getline(lines, line));
  const auto first = nlohmann::json::parse(line);
  EXPECT_EQ(first["trials"].size(), 5u);  // full, and two methods over two presets
  EXPECT_EQ(first["trials"][0]["given"], "Rome");
}

TEST_F(EvalCli, JsonScoresWhatIsRightAndWhatIsWrong) {
  const Outcome outcome = eval({worlds(), "--methods", "reuse", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  for (const auto& score : nlohmann::json::parse(outcome.out)["scores"]) {
    if (score["method"] == "full") {
      EXPECT_EQ(score["share"], score["family"] == "here" ? 1.0 : 0.0);
    }
    EXPECT_TRUE(score["family"] == "here" || score["part"] == "all");  // "there" tells no place
  }
}

TEST_F(EvalCli, BadInputIsNamed) {
  const auto refused = [&](const std::vector<std::string>& words, int code,
                           const std::string& names) {
    const Outcome outcome = eval(words);
    EXPECT_EQ(outcome.code, code) << outcome.err;
    EXPECT_NE(outcome.err.find(names), std::string::npos) << outcome.err;
    EXPECT_EQ(outcome.out, "");
  };
  refused({"/nowhere/worlds.jsonl"}, 3, "/nowhere/worlds.jsonl");
  refused({worlds(), "--methods", "full,frist-k"}, 2, "frist-k");
  refused({worlds(), "--methods", "first-k:0"}, 2, "first-k:0");
  refused({worlds(), "--presets", "tiny"}, 2, "--presets");
  refused({file("bad.jsonl", "{\"chunks\": 1}\n")}, 2, "bad.jsonl:1: chunks");
  refused({file("empty.jsonl", "")}, 2, "empty.jsonl");
}

}  // namespace
}  // namespace spolia::test
