#include "engine/linker/document_library.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "engine/linker/chunker.h"
#include "tests/engine/linker/fake_kv_source.h"
#include "tests/support/tiny_model.h"

namespace spolia::engine {
namespace {

// A source whose stores or manifests may fail, and that counts what it is asked.
class FailingStore : public FakeKvSource {
 public:
  FailingStore() : FakeKvSource(1) {}

  uint32_t stores = 0;
  std::map<codec::PutMode, uint32_t> manifests;
  uint32_t failStoreFrom = UINT32_MAX;  // this store and all later ones
  bool failManifest = false;

  void submitStore(AlignedBuffer stream, codec::PutMode mode, uint64_t cookie,
                   codec::ChunkQueue& queue) override {
    if (stores++ < failStoreFrom) {
      return FakeKvSource::submitStore(std::move(stream), mode, cookie, queue);
    }
    fail(cookie, queue);
  }
  void submitPutValue(ValueToStore value, uint64_t cookie, codec::ChunkQueue& queue) override {
    if (failManifest) return fail(cookie, queue);
    ++manifests[value.mode];
    FakeKvSource::submitPutValue(std::move(value), cookie, queue);
  }

 private:
  static void fail(uint64_t cookie, codec::ChunkQueue& queue) {
    codec::ChunkCompletion done;
    done.cookie = cookie;
    done.status = Status(ErrorCode::kOutOfSpace, "full");
    queue.push(std::move(done));
  }
};

std::string sentences(const std::string& word, int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += "The " + word + " is number " + std::to_string(i) + ". ";
  return out;
}

class DocumentLibraryTest : public ::testing::Test {
 protected:
  DocumentLibrary library(codec::Preset preset = codec::Preset::kHigh, uint32_t tokens = 64) {
    return DocumentLibrary(*model_, transformer_, source_,
                           {tokens, preset, codec::ElementType::kF32});
  }
  PutDocument put(const std::string& name, const std::string& text,
                  codec::Preset preset = codec::Preset::kHigh) {
    DocumentLibrary documents = library(preset);
    const Result<PutDocument> out = documents.put(name, text);
    EXPECT_TRUE(out.ok()) << out.status().message();
    return out.ok() ? *out : PutDocument();
  }
  std::vector<std::string> names() { return *library().names(); }
  std::string textOf(const std::string& name) {
    const Result<Manifest> manifest = library().manifest(name);
    return manifest.ok() ? manifest->text() : manifest.status().message();
  }

  std::unique_ptr<Model> model_ = test::makeTinyModel(test::tinyConfig(), 1, test::byteTokenizer());
  ThreadPool pool_{2};
  Transformer transformer_{*model_, pool_};
  FailingStore source_;
};

TEST_F(DocumentLibraryTest, PutsAndReadsBack) {
  const std::string text = sentences("house", 12);
  const PutDocument done = put("a.txt", text);
  EXPECT_GT(done.chunks, 2u);
  EXPECT_EQ(done.computed, done.chunks);
  EXPECT_EQ(done.tokens, text.size());
  EXPECT_FALSE(done.replaced);
  EXPECT_EQ(textOf("a.txt"), text);
  EXPECT_EQ(source_.stored().entries(), done.chunks + 1);
}

TEST_F(DocumentLibraryTest, UnchangedDocumentIsNotComputedAgain) {
  put("a.txt", sentences("house", 12));
  const uint32_t before = source_.stores;
  const PutDocument again = put("a.txt", sentences("house", 12));
  EXPECT_TRUE(again.unchanged);
  EXPECT_EQ(again.computed, 0u);
  EXPECT_EQ(source_.stores, before);
}

// What lives on by being put again is put again as it is stored, also where that is finer.
TEST_F(DocumentLibraryTest, ProlongingPutsAgainWhatIsThere) {
  const PutDocument first = put("a.txt", sentences("house", 12), codec::Preset::kLossless);
  DocumentLibrary prolonging(
      *model_, transformer_, source_,
      {64, codec::Preset::kHigh, codec::ElementType::kF32, codec::CompileMode::kBos, true});
  const uint32_t stores = source_.stores;
  const auto again = prolonging.put("a.txt", sentences("house", 12));
  ASSERT_TRUE(again.ok()) << again.status().message();
  EXPECT_TRUE(again->unchanged);
  EXPECT_EQ(again->computed, 0u);
  EXPECT_EQ(source_.stores - stores, first.chunks);
  EXPECT_EQ(source_.manifests[codec::PutMode::kReplace], 1u);
  EXPECT_EQ(source_.manifests[codec::PutMode::kIfAbsent], 1u) << "its end is not brought forward";
  const auto other = prolonging.put("b.txt", sentences("house", 12));
  ASSERT_TRUE(other.ok()) << other.status().message();
  EXPECT_EQ(other->computed, 0u);
  EXPECT_EQ(source_.stores - stores, 2 * first.chunks) << "what another document has in common";
  EXPECT_EQ(source_.stored().entries(), first.chunks + 2);
}

TEST_F(DocumentLibraryTest, ProlongingComputesWhatWentMeanwhile) {
  const PutDocument first = put("a.txt", sentences("house", 12));
  codec::ChunkQueue queue;
  source_.submitRemove(library().manifest("a.txt")->chunks[1].id, 0, queue);
  DocumentLibrary prolonging(
      *model_, transformer_, source_,
      {64, codec::Preset::kHigh, codec::ElementType::kF32, codec::CompileMode::kBos, true});
  const auto again = prolonging.put("a.txt", sentences("house", 12));
  ASSERT_TRUE(again.ok()) << again.status().message();
  EXPECT_FALSE(again->unchanged);
  EXPECT_EQ(again->computed, 1u);
  EXPECT_EQ(source_.stored().entries(), first.chunks + 1);
}

// The manifest names the cut; its chunks are there in either mode, and go in both.
TEST_F(DocumentLibraryTest, BothCompileModesStandSideBySide) {
  const std::string text = sentences("house", 12);
  const PutDocument first = put("a.txt", text);
  DocumentLibrary lego0(
      *model_, transformer_, source_,
      {64, codec::Preset::kHigh, codec::ElementType::kF32, codec::CompileMode::kLego0});
  Result<PutDocument> second = lego0.put("a.txt", text);
  ASSERT_TRUE(second.ok()) << second.status().message();
  EXPECT_EQ(second->computed, first.chunks);
  EXPECT_FALSE(second->replaced);
  EXPECT_EQ(source_.stored().entries(), 2 * first.chunks + 1);
  EXPECT_TRUE(lego0.put("a.txt", text)->unchanged);
  EXPECT_TRUE(put("a.txt", text).unchanged);
  EXPECT_EQ(*library().remove("a.txt"), first.chunks);
  EXPECT_EQ(source_.stored().entries(), 0u);
}

TEST_F(DocumentLibraryTest, LostChunkIsComputedAgain) {
  const PutDocument first = put("a.txt", sentences("house", 12));
  const Result<Manifest> manifest = library().manifest("a.txt");
  ASSERT_TRUE(manifest.ok());
  codec::ChunkQueue queue;
  source_.submitRemove(manifest->chunks[1].id, 0, queue);
  const PutDocument again = put("a.txt", sentences("house", 12));
  EXPECT_FALSE(again.unchanged);
  EXPECT_EQ(again.computed, 1u);
  EXPECT_EQ(source_.stored().entries(), first.chunks + 1);
}

TEST_F(DocumentLibraryTest, NewVersionReplacesTheOldOne) {
  put("a.txt", sentences("house", 12));
  const std::string text = sentences("house", 6) + sentences("tree", 6);
  const PutDocument done = put("a.txt", text);
  EXPECT_TRUE(done.replaced);
  EXPECT_GT(done.removed, 0u);
  EXPECT_LT(done.computed, done.chunks) << "the beginning is the same";
  EXPECT_EQ(textOf("a.txt"), text);
  EXPECT_EQ(names(), std::vector<std::string>{"a.txt"});
  EXPECT_EQ(source_.stored().entries(), done.chunks + 1) << "nothing of the old version is left";
}

TEST_F(DocumentLibraryTest, SharedChunksStayWhileADocumentNamesThem) {
  put("a.txt", sentences("house", 12));
  const PutDocument second = put("b.txt", sentences("house", 12));
  EXPECT_EQ(second.computed, 0u);
  EXPECT_EQ(library().remove("a.txt").value(), 0u);
  EXPECT_EQ(source_.stored().entries(), second.chunks + 1);
  EXPECT_EQ(library().remove("b.txt").value(), second.chunks);
  EXPECT_EQ(source_.stored().entries(), 0u);
  EXPECT_EQ(library().remove("b.txt").status().code(), ErrorCode::kNotFound);
}

TEST_F(DocumentLibraryTest, FinerPresetReplacesChunksCoarserDoesNot) {
  const PutDocument high = put("a.txt", sentences("house", 12));
  const PutDocument lossless = put("a.txt", sentences("house", 12), codec::Preset::kLossless);
  EXPECT_EQ(lossless.computed, high.chunks);
  EXPECT_FALSE(lossless.replaced) << "the same text";
  const PutDocument again = put("a.txt", sentences("house", 12));
  EXPECT_TRUE(again.unchanged) << "what is there is finer than asked";
}

TEST_F(DocumentLibraryTest, FailureLeavesTheOldVersionWhole) {
  const std::string before = sentences("house", 12);
  const PutDocument first = put("a.txt", before);
  source_.failStoreFrom = source_.stores + 2;
  DocumentLibrary documents = library();
  EXPECT_EQ(documents.put("a.txt", sentences("tree", 12)).status().code(), ErrorCode::kOutOfSpace);
  EXPECT_EQ(textOf("a.txt"), before);
  EXPECT_EQ(source_.stored().entries(), first.chunks + 1) << "what was stored is taken back";
  source_.failStoreFrom = UINT32_MAX;
  source_.failManifest = true;
  EXPECT_EQ(documents.put("a.txt", sentences("tree", 12)).status().code(), ErrorCode::kOutOfSpace);
  EXPECT_EQ(textOf("a.txt"), before);
  EXPECT_EQ(source_.stored().entries(), first.chunks + 1);
}

TEST_F(DocumentLibraryTest, DocumentsAreOrderedByNameAndKeptApartByModel) {
  for (const char* name : {"b.txt", "a.txt", "dir/c.md", "B.txt"}) put(name, sentences(name, 3));
  EXPECT_EQ(names(), (std::vector<std::string>{"B.txt", "a.txt", "b.txt", "dir/c.md"}));
  ModelConfig config = test::tinyConfig();
  config.ropeTheta *= 2;
  const auto other = Model::make(config, TensorTable::zeroed(config), test::byteTokenizer());
  const Transformer transformer(*other, pool_);
  DocumentLibrary theirs(*other, transformer, source_, {64, codec::Preset::kHigh, {}});
  EXPECT_TRUE(theirs.names()->empty());
  EXPECT_EQ(theirs.manifest("a.txt").status().code(), ErrorCode::kNotFound);
}

TEST_F(DocumentLibraryTest, NamesAndTextsThatCannotBeStored) {
  DocumentLibrary documents = library();
  EXPECT_EQ(documents.put("", "text").status().code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(documents.put(std::string(kMaxDocumentName + 1, 'n'), "text").status().code(),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(documents.put("a.txt", "").status().code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(source_.stored().entries(), 0u);
}

TEST(MatchingNames, AreShellPatterns) {
  const std::vector<std::string> names = {"a.md", "a.txt", "dir/a.txt", "x[1].txt"};
  EXPECT_EQ(matchingNames(names, {}), names);
  EXPECT_EQ(matchingNames(names, {"*.md"}), std::vector<std::string>{"a.md"});
  EXPECT_EQ(matchingNames(names, {"*a.txt"}), (std::vector<std::string>{"a.txt", "dir/a.txt"}));
  EXPECT_EQ(matchingNames(names, {"dir/*", "*.md"}),
            (std::vector<std::string>{"a.md", "dir/a.txt"}));
  EXPECT_TRUE(matchingNames(names, {"b*"}).empty());
}

}  // namespace
}  // namespace spolia::engine
