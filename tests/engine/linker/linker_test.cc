#include "engine/linker/linker.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <utility>

#include "engine/linker/chunk_compiler.h"
#include "engine/transformer/dense_kv.h"
#include "tests/codec/lossy/made_up_profile.h"
#include "tests/engine/linker/fake_kv_source.h"
#include "tests/support/tiny_model.h"

namespace spolia::engine {
namespace {

float largestDifference(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  float worst = 0;
  for (size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::abs(a[i] - b[i]));
  return worst;
}

// Rows are computed alone or among others in different blocks: the same sums in another order, in
// f32, over four layers of widths up to 48, on logits of magnitude about 10.
constexpr float kRounding = 2e-4f;

class LinkerTest : public ::testing::Test {
 protected:
  static constexpr uint32_t kChunkRows[] = {24, 40, 17, 33};

  LinkerTest() {
    uint64_t seed = 11;
    const auto tokens = [&](uint32_t count) {
      return test::randomTokens(model_->config(), count, seed++);
    };
    prompt_ = promptWithBos(model_->config().bosToken);
    for (uint32_t rows : kChunkRows) {
      prompt_.segments.push_back(
          {SegmentKind::kChunk, "chunk" + std::to_string(rows), tokens(rows)});
    }
    prompt_.segments.push_back({SegmentKind::kFresh, "question", tokens(9)});
  }

  void store(KvSource& source, codec::Preset preset, const std::vector<size_t>& segments) {
    const ChunkCompiler compiler(*model_, transformer_,
                                 {preset, kPageType, codec::CompileMode::kBos, profile_});
    codec::ChunkQueue queue;
    for (size_t i : segments) {
      Result<AlignedBuffer> stream = compiler.compile(prompt_.segments[i].tokens);
      ASSERT_TRUE(stream.ok()) << stream.status().message();
      source.submitStore(*std::move(stream), codec::PutMode::kIfAbsent, 0, queue);
      const codec::ChunkCompletion done = queue.waitPop();
      ASSERT_TRUE(done.status.ok()) << done.status.message();
    }
  }
  void storeAll(KvSource& source, codec::Preset preset = codec::Preset::kLossless) {
    store(source, preset, {1, 2, 3, 4});
  }

  LinkedPrompt link(KvSource* source, const Prompt& prompt, LinkOptions options,
                    ThreadPool* pool = nullptr) {
    Linker::Config config{kPageType, lookaheadLayers_, 1};
    config.profile = profile_;
    config.maxLevel = maxLevel_;
    Linker linker(*model_, transformer_, pool ? *pool : pool_, source, config);
    options.spareRows = 4;
    Result<LinkedPrompt> linked = linker.link(prompt, options);
    EXPECT_TRUE(linked.ok()) << linked.status().message();
    return *std::move(linked);
  }
  static LinkOptions method(LinkMethod method, uint32_t k = 8) {
    LinkOptions options;
    options.method = method;
    options.k = k;
    return options;
  }
  // The prompt in which these segments are fresh text.
  Prompt withFresh(const std::vector<size_t>& segments) const {
    Prompt out = prompt_;
    for (size_t i : segments) out.segments[i].kind = SegmentKind::kFresh;
    return out;
  }
  ChunkId idOf(size_t segment) const {
    return codec::chunkIdOf(
        textChunkIdentity(model_->fingerprint(), prompt_.segments[segment].tokens));
  }
  std::vector<ChunkOutcome> outcomes(const LinkedPrompt& linked) const {
    std::vector<ChunkOutcome> out;
    for (const ChunkProvenance& chunk : linked.provenance.chunks) out.push_back(chunk.outcome);
    return out;
  }

  static constexpr codec::ElementType kPageType = codec::ElementType::kBf16;
  uint32_t lookaheadLayers_ = 1;
  uint8_t maxLevel_ = UINT8_MAX;
  std::unique_ptr<Model> model_ = test::makeTinyModel(test::tinyConfig(), 5);
  ThreadPool pool_{3};
  Transformer transformer_{*model_, pool_};
  Prompt prompt_;
  std::shared_ptr<const codec::Profile> profile_;
};

constexpr auto kLoaded = ChunkOutcome::kLoaded;

// A profile of the test's model that tells nothing but means of zero and bases that are the
// channels.
std::shared_ptr<const codec::Profile> plainProfile(const Model& model, bool derived = false) {
  codec::ProfileRecipe recipe;
  recipe.derived = derived;
  recipe.layers = model.kvShape();
  recipe.history = 0;
  recipe.step = 1.0f / 256;
  codec::ProfileData data = codec::madeUpProfileData(recipe);
  data.fingerprint = model.fingerprint();
  return codec::Profile::parse(codec::writeProfile(data)).value();
}

TEST_F(LinkerTest, ChunksWithAProfileAreLoadedWithItAndMissesWithout) {
  profile_ = plainProfile(*model_);
  for (const codec::Preset preset : {codec::Preset::kBalanced, codec::Preset::kSmall}) {
    FakeKvSource source(1);
    storeAll(source, preset);
    const LinkedPrompt full = link(nullptr, prompt_, method(LinkMethod::kFull));
    FakeKvSource exact(1);
    storeAll(exact);
    const LinkedPrompt reused = link(&exact, prompt_, method(LinkMethod::kReuse));
    const LinkedPrompt linked = link(&source, prompt_, method(LinkMethod::kReuse));
    EXPECT_EQ(outcomes(linked), std::vector<ChunkOutcome>(4, kLoaded));
    EXPECT_EQ(linked.provenance.chunks[0].preset, preset);
    EXPECT_EQ(linked.provenance.chunks[0].level, 1);
    // Far less is lost to the codec than to reuse itself.
    EXPECT_LT(largestDifference(linked.logits, reused.logits),
              largestDifference(full.logits, reused.logits) / 4);

    const auto kept = std::exchange(profile_, nullptr);
    const LinkedPrompt without = link(&source, prompt_, method(LinkMethod::kReuse));
    EXPECT_EQ(without.provenance.hits(), 0u);
    EXPECT_NE(without.provenance.chunks[0].reason.find("profile"), std::string::npos)
        << without.provenance.chunks[0].reason;
    EXPECT_LT(largestDifference(without.logits, full.logits), kRounding);
    profile_ = kept;
  }
}

// [K, V][row][channel] of a linked prompt's pages.
std::vector<float> rowsOf(const LinkedPrompt& linked, const ModelConfig& config, uint32_t layer) {
  DenseKv kv(config, codec::ElementType::kF32, 1, linked.rows);
  linked.pages->exportRows(layer, 0, linked.rows, kv.target());
  const auto* first = reinterpret_cast<const float*>(kv.view().base);
  return {first, first + size_t{2} * linked.rows * config.kvChannels()};
}

// Also where other chunks are complete, and where one is computed because it does not come.
TEST_F(LinkerTest, AFirstLayerThatChunksLeaveOutIsComputed) {
  profile_ = plainProfile(*model_, true);
  FakeKvSource source(1);
  store(source, codec::Preset::kBalanced, {1, 3});
  store(source, codec::Preset::kLossless, {4});
  FakeKvSource exact(1);
  store(exact, codec::Preset::kLossless, {1, 3, 4});
  for (const LinkMethod how : {LinkMethod::kReuse, LinkMethod::kFirstK}) {
    const LinkedPrompt reused = link(&exact, prompt_, method(how));
    const LinkedPrompt linked = link(&source, prompt_, method(how));
    EXPECT_EQ(outcomes(linked), outcomes(reused));
    EXPECT_EQ(linked.provenance.hits(), 3u);
    const std::vector<float> derived = rowsOf(linked, model_->config(), 0);
    const std::vector<float> stored = rowsOf(reused, model_->config(), 0);
    size_t different = 0;  // sums rounded otherwise, at an edge of the page type
    for (size_t i = 0; i < derived.size(); ++i) {
      different += derived[i] != stored[i];
      ASSERT_NEAR(derived[i], stored[i], std::fabs(stored[i]) * 0x1p-7);
    }
    EXPECT_LT(different, derived.size() / 100);
    EXPECT_LT(largestDifference(linked.logits, reused.logits), 0.05f);
  }
}

TEST_F(LinkerTest, AProfileThatIsNotAtHandIsFetched) {
  profile_ = plainProfile(*model_);
  FakeKvSource source(1);
  storeAll(source, codec::Preset::kBalanced);
  const LinkedPrompt own = link(&source, prompt_, method(LinkMethod::kReuse));
  EXPECT_EQ(source.valueRequests(), 0u);
  ASSERT_TRUE(storeProfileOf(codec::Preset::kBalanced, profile_.get(), source).ok());
  profile_ = nullptr;
  const LinkedPrompt fetched = link(&source, prompt_, method(LinkMethod::kReuse));
  EXPECT_EQ(outcomes(fetched), std::vector<ChunkOutcome>(4, kLoaded));
  EXPECT_EQ(source.valueRequests(), 1u);  // for all chunks
  EXPECT_EQ(fetched.logits, own.logits);
}

TEST_F(LinkerTest, AProfileThatCannotBeHadIsAMissThatSaysWhy) {
  const auto profile = plainProfile(*model_);
  const LinkedPrompt full = link(nullptr, prompt_, method(LinkMethod::kFull));
  for (const Fault fault : {Fault::kUnavailable, Fault::kNotFound, Fault::kCorruptFrame}) {
    FakeKvSource source(1);
    profile_ = profile;
    storeAll(source, codec::Preset::kBalanced);
    profile_ = nullptr;
    ASSERT_TRUE(storeProfileOf(codec::Preset::kBalanced, profile.get(), source).ok());
    source.onValue = [&](const ChunkId&, uint32_t) { return fault; };
    const LinkedPrompt linked = link(&source, prompt_, method(LinkMethod::kReuse));
    EXPECT_EQ(linked.provenance.hits(), 0u);
    for (const ChunkProvenance& chunk : linked.provenance.chunks) {
      EXPECT_NE(chunk.reason.find("profile " + profile->id().hex()), std::string::npos)
          << chunk.reason;
    }
    EXPECT_LT(largestDifference(linked.logits, full.logits), kRounding);
  }
}

TEST_F(LinkerTest, AProfileThatDoesNotComeHoldsNothingUp) {
  profile_ = plainProfile(*model_);
  FakeKvSource source(1);
  storeAll(source, codec::Preset::kBalanced);
  ASSERT_TRUE(storeProfileOf(codec::Preset::kBalanced, profile_.get(), source).ok());
  source.onValue = [](const ChunkId&, uint32_t) { return Fault::kHeld; };
  LinkOptions options = method(LinkMethod::kReuse);
  options.patience = std::chrono::milliseconds(400);
  options.spareRows = 4;
  Linker linker(*model_, transformer_, pool_, &source, {kPageType, 0, 1});
  const Result<LinkedPrompt> linked = linker.link(prompt_, options);
  source.release();
  ASSERT_TRUE(linked.ok()) << linked.status().message();
  EXPECT_EQ(outcomes(*linked), std::vector<ChunkOutcome>(4, ChunkOutcome::kLate));
}

TEST_F(LinkerTest, LevelsAboveTheOneAskedForAreNotRead) {
  profile_ = plainProfile(*model_);
  FakeKvSource source(1);
  storeAll(source, codec::Preset::kBalanced);
  const LinkedPrompt fine = link(&source, prompt_, method(LinkMethod::kReuse));
  const LinkedPrompt full = link(nullptr, prompt_, method(LinkMethod::kFull));
  maxLevel_ = 0;
  const LinkedPrompt coarse = link(&source, prompt_, method(LinkMethod::kReuse));
  EXPECT_EQ(outcomes(coarse), std::vector<ChunkOutcome>(4, kLoaded));
  EXPECT_EQ(coarse.provenance.chunks[0].level, 0);
  EXPECT_LT(coarse.provenance.bytesRead, fine.provenance.bytesRead);
  // Coarser, but of the same values.
  const float difference = largestDifference(coarse.logits, fine.logits);
  EXPECT_GT(difference, 0);
  EXPECT_LT(difference, largestDifference(full.logits, fine.logits));
}

TEST_F(LinkerTest, FullAsksForNothing) {
  FakeKvSource source(1);
  storeAll(source);
  const LinkedPrompt linked = link(&source, prompt_, method(LinkMethod::kFull));
  EXPECT_EQ(source.opens(), 0u);
  EXPECT_EQ(linked.provenance.rowsComputed, prompt_.rows());
  EXPECT_EQ(linked.provenance.hits(), 0u);
  EXPECT_EQ(outcomes(linked), std::vector<ChunkOutcome>(4, ChunkOutcome::kUnasked));
}

TEST_F(LinkerTest, FirstKOfWholeChunksIsFull) {
  FakeKvSource source(1);
  storeAll(source);
  const LinkedPrompt full = link(nullptr, prompt_, method(LinkMethod::kFull));
  const LinkedPrompt linked = link(&source, prompt_, method(LinkMethod::kFirstK, 40));
  // The first chunk is exact and loaded; of the others nothing is.
  EXPECT_EQ(linked.provenance.hits(), 1u);
  EXPECT_EQ(linked.provenance.rowsComputed, prompt_.rows() - kChunkRows[0]);
  EXPECT_LE(largestDifference(full.logits, linked.logits), kRounding);
}

TEST_F(LinkerTest, ReuseOfAnExactChunkIsFull) {
  FakeKvSource source(1);
  Prompt prompt = prompt_;
  prompt.segments.erase(prompt.segments.begin() + 2, prompt.segments.begin() + 5);
  store(source, codec::Preset::kLossless, {1});
  const LinkedPrompt full = link(nullptr, prompt, method(LinkMethod::kFull));
  const LinkedPrompt linked = link(&source, prompt, method(LinkMethod::kReuse));
  EXPECT_EQ(linked.provenance.rowsComputed, prompt.rows() - kChunkRows[0]);
  EXPECT_LE(largestDifference(full.logits, linked.logits), kRounding);
}

// Chunks behind one BOS row are not lego0's: it computes, and says why.
TEST_F(LinkerTest, Lego0LoadsOnlyChunksCompiledForIt) {
  FakeKvSource source(1);
  storeAll(source);
  const LinkedPrompt missed = link(&source, prompt_, method(LinkMethod::kLego0));
  EXPECT_EQ(outcomes(missed), std::vector<ChunkOutcome>(4, ChunkOutcome::kMissing));
  EXPECT_EQ(missed.provenance.rowsComputed, prompt_.rows());

  const ChunkCompiler compiler(*model_, transformer_,
                               {codec::Preset::kLossless, kPageType, codec::CompileMode::kLego0});
  codec::ChunkQueue queue;
  for (size_t i = 1; i <= 4; ++i) {
    source.submitStore(*compiler.compile(prompt_.segments[i].tokens), codec::PutMode::kIfAbsent, 0,
                       queue);
    ASSERT_TRUE(queue.waitPop().status.ok());
  }
  const LinkedPrompt linked = link(&source, prompt_, method(LinkMethod::kLego0));
  EXPECT_EQ(linked.provenance.hits(), 4u);
  EXPECT_EQ(linked.provenance.rowsComputed, 10u);
  const LinkedPrompt reuse = link(&source, prompt_, method(LinkMethod::kReuse));
  EXPECT_EQ(reuse.provenance.hits(), 4u);
  EXPECT_GT(largestDifference(reuse.logits, linked.logits), 0.f) << "four BOS rows, not one";
}

TEST_F(LinkerTest, ReuseOfMovedChunksIsNotFull) {
  FakeKvSource source(1);
  storeAll(source);
  const LinkedPrompt full = link(nullptr, prompt_, method(LinkMethod::kFull));
  const LinkedPrompt linked = link(&source, prompt_, method(LinkMethod::kReuse));
  EXPECT_EQ(linked.provenance.hits(), 4u);
  EXPECT_EQ(linked.provenance.rowsComputed, 10u);
  // Else the other tests would not show anything.
  EXPECT_GT(largestDifference(full.logits, linked.logits), 100 * kRounding);
}

TEST_F(LinkerTest, ProvenanceTellsWhatWasDone) {
  FakeKvSource source(1);
  storeAll(source, codec::Preset::kHigh);
  const LinkedPrompt linked = link(&source, prompt_, method(LinkMethod::kFirstK));
  const Provenance& provenance = linked.provenance;
  EXPECT_EQ(provenance.hits(), 4u);
  EXPECT_EQ(provenance.passes, 1u);
  EXPECT_EQ(provenance.rows, prompt_.rows());
  EXPECT_EQ(provenance.rowsComputed, 1u + 3 * 8 + 9);
  EXPECT_EQ(provenance.chunks[0].rowsComputed, 0u);
  EXPECT_EQ(provenance.chunks[2].rowsComputed, 8u);
  EXPECT_EQ(provenance.chunks[2].rows, 17u);
  EXPECT_EQ(provenance.chunks[2].name, "chunk17");
  EXPECT_EQ(provenance.chunks[2].tier, codec::Tier::kMemory);
  EXPECT_EQ(provenance.chunks[2].preset, codec::Preset::kHigh);
  EXPECT_GT(provenance.chunks[2].bytesRead, 0u);
  EXPECT_EQ(linked.rows, prompt_.rows());
}

TEST_F(LinkerTest, EightBitsAreCloseToLossless) {
  FakeKvSource lossless(1), high(1);
  storeAll(lossless);
  storeAll(high, codec::Preset::kHigh);
  const LinkedPrompt a = link(&lossless, prompt_, method(LinkMethod::kFirstK));
  const LinkedPrompt b = link(&high, prompt_, method(LinkMethod::kFirstK));
  const LinkedPrompt full = link(nullptr, prompt_, method(LinkMethod::kFull));
  EXPECT_GT(largestDifference(a.logits, b.logits), 0.f);
  EXPECT_LT(largestDifference(a.logits, b.logits), largestDifference(a.logits, full.logits) / 4);
}

TEST_F(LinkerTest, ThreadsAndLookaheadChangeNothing) {
  FakeKvSource source(3);
  storeAll(source);
  const LinkedPrompt first = link(&source, prompt_, method(LinkMethod::kFirstK));
  for (const auto& [threads, lookahead] : {std::pair{1u, 0u}, {2u, 3u}, {4u, 100u}}) {
    ThreadPool pool(threads);
    lookaheadLayers_ = lookahead;
    const LinkedPrompt again = link(&source, prompt_, method(LinkMethod::kFirstK), &pool);
    EXPECT_EQ(again.provenance.hits(), 4u);
    EXPECT_LE(largestDifference(first.logits, again.logits), kRounding);
  }
}

TEST_F(LinkerTest, MissingChunkIsFreshText) {
  FakeKvSource source(1);
  store(source, codec::Preset::kLossless, {1, 2, 4});
  const LinkedPrompt linked = link(&source, prompt_, method(LinkMethod::kFirstK));
  const LinkedPrompt expected = link(&source, withFresh({3}), method(LinkMethod::kFirstK));
  EXPECT_EQ(outcomes(linked), (std::vector{kLoaded, kLoaded, ChunkOutcome::kMissing, kLoaded}));
  EXPECT_EQ(linked.provenance.chunks[2].rowsComputed, 17u);
  EXPECT_EQ(linked.provenance.passes, 1u) << "known before anything was computed";
  EXPECT_LE(largestDifference(linked.logits, expected.logits), kRounding);
}

TEST_F(LinkerTest, NothingStoredIsFull) {
  FakeKvSource source(1);
  const LinkedPrompt full = link(nullptr, prompt_, method(LinkMethod::kFull));
  const LinkedPrompt linked = link(&source, prompt_, method(LinkMethod::kFirstK));
  const LinkedPrompt without = link(nullptr, prompt_, method(LinkMethod::kFirstK));
  EXPECT_EQ(linked.provenance.rowsComputed, prompt_.rows());
  EXPECT_LE(largestDifference(full.logits, linked.logits), kRounding);
  EXPECT_LE(largestDifference(full.logits, without.logits), kRounding);
}

struct FaultCase {
  const char* name;
  bool onOpen;
  Fault fault;
  ChunkOutcome outcome;
};

class LinkerFaultTest : public LinkerTest, public ::testing::WithParamInterface<FaultCase> {};

TEST_P(LinkerFaultTest, ChunkBecomesFreshTextAndIsNamed) {
  const FaultCase& fault = GetParam();
  FakeKvSource source(7);
  storeAll(source);
  const ChunkId victim = idOf(3);
  codec::ChunkQueue queue;
  source.stored().submitOpen(idOf(1), 0, queue);
  source.otherHeader = queue.waitPop().header;
  (fault.onOpen ? source.onOpen : source.onFetch) = [&](const ChunkId& id, uint32_t) {
    return id == victim ? fault.fault : Fault::kNone;
  };
  LinkOptions options = method(LinkMethod::kFirstK);
  if (fault.fault == Fault::kHeld) options.patience = std::chrono::milliseconds(400);
  Linker linker(*model_, transformer_, pool_, &source, {kPageType, 0, 1});
  options.spareRows = 4;
  const Result<LinkedPrompt> linked = linker.link(prompt_, options);
  source.release();
  ASSERT_TRUE(linked.ok()) << linked.status().message();
  std::vector<ChunkOutcome> expected(4, kLoaded);
  expected[2] = fault.outcome;
  EXPECT_EQ(outcomes(*linked), expected);
  EXPECT_FALSE(linked->provenance.chunks[2].reason.empty());
  EXPECT_EQ(linked->provenance.chunks[2].rowsComputed, 17u);
  EXPECT_EQ(linked->provenance.passes, fault.onOpen ? 1u : 2u);
  source.onOpen = source.onFetch = [](const ChunkId&, uint32_t) { return Fault::kNone; };
  const LinkedPrompt fresh = link(&source, withFresh({3}), method(LinkMethod::kFirstK));
  EXPECT_LE(largestDifference(linked->logits, fresh.logits), kRounding);
}

INSTANTIATE_TEST_SUITE_P(
    Faults, LinkerFaultTest,
    ::testing::Values(
        FaultCase{"OpenNotFound", true, Fault::kNotFound, ChunkOutcome::kMissing},
        FaultCase{"OpenUnavailable", true, Fault::kUnavailable, ChunkOutcome::kFailed},
        FaultCase{"OpenOtherHeader", true, Fault::kOtherHeader, ChunkOutcome::kMismatch},
        FaultCase{"OpenHeld", true, Fault::kHeld, ChunkOutcome::kLate},
        FaultCase{"FetchNotFound", false, Fault::kNotFound, ChunkOutcome::kMissing},
        FaultCase{"FetchUnavailable", false, Fault::kUnavailable, ChunkOutcome::kFailed},
        FaultCase{"FetchCorrupt", false, Fault::kCorruptFrame, ChunkOutcome::kCorrupt},
        FaultCase{"FetchFewerFrames", false, Fault::kFewerFrames, ChunkOutcome::kCorrupt},
        FaultCase{"FetchHeld", false, Fault::kHeld, ChunkOutcome::kLate}),
    [](const auto& test) { return std::string(test.param.name); });

// Whatever fails in whatever order: the answer is that of the prompt in which exactly the chunks
// named in the provenance are fresh text.
TEST_F(LinkerTest, AnyFaultsInAnyOrder) {
  MemoryKvSource whole;
  storeAll(whole);
  for (uint32_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 rng(seed);
    FakeKvSource source(seed);
    storeAll(source);
    const auto draw = [&rng](uint32_t oneIn) {
      constexpr Fault kFaults[] = {Fault::kNotFound, Fault::kUnavailable, Fault::kCorruptFrame,
                                   Fault::kFewerFrames};
      return rng() % oneIn == 0 ? kFaults[rng() % 4] : Fault::kNone;
    };
    source.onOpen = [&](const ChunkId&, uint32_t) {
      const Fault fault = draw(8);
      return fault == Fault::kNotFound || fault == Fault::kUnavailable ? fault : Fault::kNone;
    };
    source.onFetch = [&](const ChunkId&, uint32_t) { return draw(5); };
    lookaheadLayers_ = rng() % 5;
    const LinkedPrompt linked = link(&source, prompt_, method(LinkMethod::kFirstK));
    std::vector<size_t> missed;
    for (size_t i = 0; i < 4; ++i) {
      if (linked.provenance.chunks[i].outcome != kLoaded) missed.push_back(i + 1);
    }
    EXPECT_LE(linked.provenance.passes, 2u);
    const LinkedPrompt expected = link(&whole, withFresh(missed), method(LinkMethod::kFirstK));
    EXPECT_EQ(linked.provenance.rowsComputed, expected.provenance.rowsComputed);
    EXPECT_LE(largestDifference(linked.logits, expected.logits), kRounding);
  }
}

TEST_F(LinkerTest, LaterRequestIsNotDisturbedByALateAnswer) {
  FakeKvSource source(9);
  storeAll(source);
  source.onFetch = [](const ChunkId&, uint32_t nth) {
    return nth == 0 ? Fault::kHeld : Fault::kNone;
  };
  Linker linker(*model_, transformer_, pool_, &source, {kPageType, 2, 1});
  LinkOptions options = method(LinkMethod::kFirstK);
  options.patience = std::chrono::milliseconds(400);
  options.spareRows = 4;
  const Result<LinkedPrompt> late = linker.link(prompt_, options);
  ASSERT_TRUE(late.ok());
  EXPECT_EQ(late->provenance.hits(), 3u);
  source.release();
  options.patience = std::chrono::seconds(20);
  const Result<LinkedPrompt> next = linker.link(prompt_, options);
  ASSERT_TRUE(next.ok());
  EXPECT_EQ(next->provenance.hits(), 4u);
  MemoryKvSource whole;
  storeAll(whole);
  const LinkedPrompt expected = link(&whole, prompt_, method(LinkMethod::kFirstK));
  EXPECT_LE(largestDifference(next->logits, expected.logits), kRounding);
}

TEST_F(LinkerTest, TooLongPromptIsRefusedWithTheCounts) {
  Linker linker(*model_, transformer_, pool_, nullptr);
  LinkOptions options;
  options.spareRows = 1000;
  const Result<LinkedPrompt> linked = linker.link(prompt_, options);
  EXPECT_EQ(linked.status().code(), ErrorCode::kInvalidArgument);
  EXPECT_NE(linked.status().message().find("124 tokens"), std::string::npos)
      << linked.status().message();
  EXPECT_NE(linked.status().message().find("1024 positions"), std::string::npos);
}

TEST_F(LinkerTest, ResidentPassGivesTheSameLogits) {
  FakeKvSource source(1);
  storeAll(source);
  Linker linker(*model_, transformer_, pool_, &source, {kPageType, 2, 1});
  LinkOptions options = method(LinkMethod::kFirstK);
  options.spareRows = 4;
  Result<LinkedPrompt> linked = linker.link(prompt_, options);
  ASSERT_TRUE(linked.ok());
  const std::vector<float> before = linked->logits;
  const Result<double> time = linker.timeResident(prompt_, options, *linked);
  ASSERT_TRUE(time.ok());
  EXPECT_LE(largestDifference(before, linked->logits), kRounding);
}

}  // namespace
}  // namespace spolia::engine
