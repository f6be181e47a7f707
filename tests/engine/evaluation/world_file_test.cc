#include "engine/evaluation/world_file.h"

#include <gtest/gtest.h>

#include <sstream>

namespace spolia::engine {
namespace {

Result<std::vector<World>> read(const std::string& text) {
  std::istringstream in(text);
  return readWorlds(in, "w.jsonl");
}

TEST(WorldFile, ReadsWorldsAndToleratesWhatItDoesNotKnow) {
  const auto worlds = read(
      R"({"family": "f", "chunks": ["ab", "cde"], "question": "q", "answer": "a", "more": [1],)"
      R"( "dependent_chunk": 1, "dependent_char": 2})"
      "\n\n"
      R"({"chunks": ["x"], "question": "q2", "answer": ""})");
  ASSERT_TRUE(worlds.ok()) << worlds.status().toString();
  ASSERT_EQ(worlds->size(), 2u);
  EXPECT_EQ((*worlds)[0].family, "f");
  EXPECT_EQ((*worlds)[0].chunks, (std::vector<std::string>{"ab", "cde"}));
  ASSERT_TRUE((*worlds)[0].dependent);
  EXPECT_EQ((*worlds)[0].dependent->chunk, 1u);
  EXPECT_EQ((*worlds)[0].dependent->character, 2u);
  EXPECT_EQ((*worlds)[1].family, "all");
  EXPECT_FALSE((*worlds)[1].dependent);
}

struct BadLine {
  const char* line;
  const char* names;  // what the message has to name
};

TEST(WorldFile, BadLinesAreRefusedWithPlaceAndField) {
  const BadLine kBad[] = {
      {"{", "w.jsonl:2"},
      {"[1]", "expected a JSON object"},
      {R"({"question": "q", "answer": "a"})", "chunks"},
      {R"({"chunks": [], "question": "q", "answer": "a"})", "chunks"},
      {R"({"chunks": ["a", 1], "question": "q", "answer": "a"})", "chunks"},
      {R"({"chunks": ["a"], "answer": "a"})", "question"},
      {R"({"chunks": ["a"], "question": 7, "answer": "a"})", "question"},
      {R"({"chunks": ["a"], "question": "q"})", "answer"},
      {R"({"chunks": ["a"], "question": "q", "answer": "a", "dependent_chunk": -1})",
       "dependent_chunk"},
      {R"({"chunks": ["a"], "question": "q", "answer": "a", "dependent_chunk": 0})",
       "dependent_char"},
      {R"({"chunks": ["a"], "question": "q", "answer": "a", "dependent_chunk": 1,)"
       R"("dependent_char": 0})",
       "w.jsonl:2"},
      {R"({"chunks": ["a"], "question": "q", "answer": "a", "dependent_chunk": 0,)"
       R"("dependent_char": 1})",
       "inside that chunk"},
  };
  for (const BadLine& bad : kBad) {
    const auto worlds = read(std::string("\n").append(bad.line));
    ASSERT_FALSE(worlds.ok()) << bad.line;
    EXPECT_EQ(worlds.status().code(), ErrorCode::kInvalidArgument);
    EXPECT_NE(worlds.status().message().find(bad.names), std::string::npos)
        << worlds.status().message();
    EXPECT_NE(worlds.status().message().find("w.jsonl:2"), std::string::npos);
  }
}

TEST(WorldFile, NoWorldsAreAnError) {
  EXPECT_EQ(read("").status().code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(read("\n \n").status().code(), ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace spolia::engine
