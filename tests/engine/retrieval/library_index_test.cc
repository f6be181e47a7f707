#include "engine/retrieval/library_index.h"

#include <gtest/gtest.h>

#include "engine/linker/memory_kv_source.h"
#include "tests/support/tiny_model.h"

namespace spolia::engine {
namespace {

using Names = std::vector<std::string>;

bool anyName(const std::string&) {
  return true;
}

class LibraryIndexTest : public ::testing::Test {
 protected:
  void put(const std::string& name, const std::string& text) {
    const Result<PutDocument> out = library_.put(name, text);
    EXPECT_TRUE(out.ok()) << out.status().message();
  }
  Names best(const std::string& question, size_t count,
             const LibraryIndex::NameFilter& wanted = anyName) {
    const Result<Names> out = index_->best(library_, question, count, wanted);
    EXPECT_TRUE(out.ok()) << out.status().message();
    return out.ok() ? *out : Names();
  }

  std::unique_ptr<Model> model_ = test::makeTinyModel(test::tinyConfig(), 1, test::byteTokenizer());
  ThreadPool pool_{2};
  Transformer transformer_{*model_, pool_};
  MemoryKvSource source_;
  DocumentLibrary library_{*model_, transformer_, source_, {}};
  Result<LibraryIndex> index_ = LibraryIndex::create();
};

TEST_F(LibraryIndexTest, FollowsTheLibrary) {
  EXPECT_EQ(best("sailing", 3), Names());
  put("boats", "Helen enjoys sailing.");
  put("chess", "Peter plays chess.");
  EXPECT_EQ(best("sailing", 1), Names{"boats"});
  put("races", "Sailing races, sailing races.");
  EXPECT_EQ(best("sailing", 2), (Names{"boats", "races"}));
  ASSERT_TRUE(library_.remove("boats").ok());
  EXPECT_EQ(best("sailing", 1), Names{"races"});
  EXPECT_EQ(best("sailing", 9), (Names{"chess", "races"}));
}

// The order of a prompt must not hang on the question, or the same choice would be another prompt.
TEST_F(LibraryIndexTest, TheChoiceIsInManifestOrder) {
  put("z", "red red red");
  put("a", "red blue blue");
  put("m", "green");
  EXPECT_EQ(best("red", 2), (Names{"a", "z"}));
  EXPECT_EQ(best("blue red", 2), best("red", 2)) << "a is the best of one, z of the other";
}

TEST_F(LibraryIndexTest, UnwantedNamesTakeNoPlace) {
  put("inline/1", "red red red red");
  put("b", "red");
  put("c", "nothing");
  const auto wanted = [](const std::string& name) { return !name.starts_with("inline/"); };
  EXPECT_EQ(best("red", 1, wanted), Names{"b"});
  EXPECT_EQ(best("red", 5, wanted), (Names{"b", "c"}));
}

}  // namespace
}  // namespace spolia::engine
