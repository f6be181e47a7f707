#include "engine/document_files.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

namespace spolia::engine {
namespace {

namespace fs = std::filesystem;

class DocumentFilesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = fs::path(::testing::TempDir()) / ("documents_" + std::to_string(::getpid()));
    fs::create_directories(root_);
  }
  void TearDown() override { fs::remove_all(root_); }

  std::string add(const std::string& name, const std::string& content) {
    const fs::path path = root_ / name;
    fs::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << content;
    return path.string();
  }

  fs::path root_;
};

TEST_F(DocumentFilesTest, TakesTextAndMarkdownInOrderOfNames) {
  add("b.txt", "b");
  add("a.md", "a");
  add("deep/c.TXT", "c");
  const auto found = findDocuments({root_.string() + "/"});
  ASSERT_TRUE(found.ok());
  ASSERT_EQ(found->taken.size(), 3u);
  EXPECT_EQ(found->taken[0].name, (root_ / "a.md").string());
  EXPECT_EQ(found->taken[1].name, (root_ / "b.txt").string());
  EXPECT_EQ(found->taken[2].name, (root_ / "deep/c.TXT").string());
  EXPECT_TRUE(found->skipped.empty());
  EXPECT_EQ(found->bytes(), 3u);
}

TEST_F(DocumentFilesTest, NamesWhatItSkips) {
  add("a.pdf", "a");
  add(".hidden.txt", "h");
  fs::create_directory_symlink(root_, root_ / "loop");
  const auto found = findDocuments({root_.string()});
  ASSERT_TRUE(found.ok());
  EXPECT_TRUE(found->taken.empty());
  ASSERT_EQ(found->skipped.size(), 3u);
  EXPECT_EQ(found->skipped[0].reason, "hidden");
  EXPECT_EQ(found->skipped[1].reason, "neither .txt nor .md");
  EXPECT_EQ(found->skipped[2].reason, "a link to a directory");
}

TEST_F(DocumentFilesTest, SameFileTwiceIsTakenOnce) {
  const std::string path = add("a.txt", "a");
  const auto found = findDocuments({path, root_.string(), root_.string() + "/./a.txt"});
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->taken.size(), 1u);
}

TEST_F(DocumentFilesTest, AbsentPathIsAnError) {
  const auto found = findDocuments({(root_ / "nothing.txt").string()});
  EXPECT_EQ(found.status().code(), ErrorCode::kNotFound);
  EXPECT_NE(found.status().message().find("nothing.txt"), std::string::npos);
}

TEST_F(DocumentFilesTest, ReadsOnlyText) {
  const auto reason = [&](const std::string& content) {
    const auto found = findDocuments({add("x.txt", content)});
    const Result<std::string> text = readDocument(found->taken[0]);
    return text.ok() ? "read: " + *text : text.status().message();
  };
  EXPECT_EQ(reason("Zw\xC3\xB6lf.\n"), "read: Zw\xC3\xB6lf.\n");
  EXPECT_EQ(reason(""), "empty");
  EXPECT_EQ(reason("latin-1: \xE4"), "not UTF-8");
  EXPECT_EQ(reason(std::string("nul\0byte", 8)), "has NUL bytes, expected text");
}

}  // namespace
}  // namespace spolia::engine
