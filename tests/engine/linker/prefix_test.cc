// Method prefix: chunks of 256 tokens counted from position 0, written back by answering and loaded
// by the longest stored chain. With `lossless` and invariant rounding its answers are those of no
// cache, token for token.
#include <gtest/gtest.h>

#include "engine/linker/embedded_kv_source.h"
#include "engine/linker/memory_kv_source.h"
#include "engine/scheduler/generation.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/tiny_model.h"

namespace spolia::engine {
namespace {

constexpr auto kPrefixPages = codec::ElementType::kBf16;

Prompt promptOf(const ModelConfig& config, std::vector<codec::TokenId> tokens) {
  Prompt prompt = promptWithBos(config.bosToken);
  prompt.segments.push_back({SegmentKind::kFresh, "text", std::move(tokens)});
  return prompt;
}

GenerationOptions optionsFor(LinkMethod method) {
  GenerationOptions options;
  options.link.method = method;
  options.sequence.maxTokens = 6;
  options.sequence.stopAtNewline = false;
  return options;
}

class PrefixTest : public ::testing::Test {
 protected:
  explicit PrefixTest(const ModelConfig& config = test::tinyConfig())
      : model_(test::makeTinyModel(config, 5)) {}

  Answer answer(const Prompt& prompt, KvSource* source, LinkMethod method = LinkMethod::kPrefix,
                codec::Preset preset = codec::Preset::kLossless) {
    Linker::Config config;
    config.pageType = kPrefixPages;
    config.prefixPreset = preset;
    Linker linker(*model_, transformer_, pool_, source, config);
    Result<Answer> out = answerPrompt(*model_, transformer_, linker, prompt, optionsFor(method));
    EXPECT_TRUE(out.ok()) << out.status().toString();
    return out.ok() ? *std::move(out) : Answer();
  }
  Prompt prompt(size_t tokens, uint64_t seed) const {
    return promptOf(model_->config(), test::randomTokens(model_->config(), tokens, seed));
  }

  const std::unique_ptr<Model> model_;
  ThreadPool pool_{2};
  Transformer transformer_{*model_, pool_, Rounding::kInvariant};
};

TEST_F(PrefixTest, TheFirstAnswerStoresWholeChunksAndTheNextLoadsThem) {
  MemoryKvSource source;
  const Prompt asked = prompt(600, 1);  // with BOS 601 rows: two chunks and a tail of 89
  const Answer first = answer(asked, &source);
  EXPECT_EQ(first.provenance.chunksStored, 2u);
  EXPECT_EQ(first.provenance.rowsComputed, 601u);
  EXPECT_EQ(source.entries(), 2u);
  const Answer second = answer(asked, &source);
  EXPECT_EQ(second.provenance.hits(), 2u);
  EXPECT_EQ(second.provenance.rowsComputed, 89u);
  EXPECT_EQ(second.provenance.chunksStored, 0u);
  EXPECT_EQ(second.tokens, first.tokens);
}

class PrefixOfAFamily : public PrefixTest, public ::testing::WithParamInterface<test::Variant> {
 protected:
  PrefixOfAFamily() : PrefixTest(GetParam().config) {}
};

TEST_P(PrefixOfAFamily, LoadedChunksAnswerAsComputedOnes) {
  MemoryKvSource source;
  const Prompt asked = prompt(600, 9);
  const Answer full = answer(asked, nullptr, LinkMethod::kFull);
  EXPECT_EQ(answer(asked, &source).tokens, full.tokens);
  const Answer loaded = answer(asked, &source);
  EXPECT_EQ(loaded.provenance.hits(), 2u);
  EXPECT_EQ(loaded.tokens, full.tokens);
}

INSTANTIATE_TEST_SUITE_P(Variants, PrefixOfAFamily, ::testing::ValuesIn(test::tinyVariants()),
                         [](const auto& variant) { return std::string(variant.param.name); });

TEST_F(PrefixTest, ALongerPromptExtendsTheChainOfAShorterOne) {
  MemoryKvSource source;
  const std::vector<codec::TokenId> tokens = test::randomTokens(model_->config(), 800, 2);
  answer(promptOf(model_->config(), {tokens.begin(), tokens.begin() + 300}), &source);
  EXPECT_EQ(source.entries(), 1u);
  const Answer longer = answer(promptOf(model_->config(), tokens), &source);
  EXPECT_EQ(longer.provenance.hits(), 1u);
  EXPECT_EQ(longer.provenance.chunksStored, 2u);
  EXPECT_EQ(source.entries(), 3u);
}

TEST_F(PrefixTest, EqualTokensBehindAnotherPrefixAreAnotherChunk) {
  MemoryKvSource source;
  std::vector<codec::TokenId> tokens = test::randomTokens(model_->config(), 511, 3);
  answer(promptOf(model_->config(), tokens), &source);
  tokens[0] = tokens[0] == 7 ? 8 : 7;  // the second chunk's tokens are the same
  const Answer other = answer(promptOf(model_->config(), tokens), &source);
  EXPECT_EQ(other.provenance.hits(), 0u);
  EXPECT_EQ(other.tokens,
            answer(promptOf(model_->config(), tokens), nullptr, LinkMethod::kFull).tokens);
}

TEST_F(PrefixTest, APromptThatEndsWithAChunkStillComputesItsLastRow) {
  MemoryKvSource source;
  const Prompt asked = prompt(511, 4);
  const Answer first = answer(asked, &source);
  EXPECT_EQ(first.provenance.chunksStored, 2u);
  const Answer second = answer(asked, &source);
  EXPECT_EQ(second.provenance.rowsComputed, 1u);
  EXPECT_EQ(second.tokens, first.tokens);
}

TEST_F(PrefixTest, BehindALossyPrefixNothingIsWrittenBack) {
  MemoryKvSource source;
  const std::vector<codec::TokenId> tokens = test::randomTokens(model_->config(), 800, 6);
  answer(promptOf(model_->config(), {tokens.begin(), tokens.begin() + 300}), &source,
         LinkMethod::kPrefix, codec::Preset::kHigh);
  EXPECT_EQ(source.entries(), 1u);
  const Answer longer = answer(promptOf(model_->config(), tokens), &source, LinkMethod::kPrefix,
                               codec::Preset::kHigh);
  EXPECT_EQ(longer.provenance.hits(), 1u);
  EXPECT_EQ(longer.provenance.chunksStored, 0u);
  EXPECT_EQ(source.entries(), 1u);
}

TEST_F(PrefixTest, AMissingLinkOfTheChainMakesAllBehindItComputed) {
  MemoryKvSource source;
  const Prompt asked = prompt(1000, 7);
  const Answer first = answer(asked, &source);
  ASSERT_EQ(first.provenance.chunksStored, 3u);
  codec::ChunkQueue queue;
  source.submitRemove(first.provenance.chunks[1].id, 0, queue);
  ASSERT_TRUE(queue.waitPop().status.ok());
  const Answer second = answer(asked, &source);
  EXPECT_EQ(second.provenance.hits(), 1u);
  EXPECT_EQ(second.provenance.rowsComputed, 1001u - 256u);
  EXPECT_EQ(second.provenance.chunks[2].outcome, ChunkOutcome::kMissing);
  EXPECT_EQ(second.tokens, first.tokens);
  EXPECT_EQ(answer(asked, &source).provenance.hits(), 3u);
}

// 200 prompts of several lengths that share prefixes, with the micro model and a store on disk.
TEST(PrefixAnswers, AreThoseOfNoCacheAlsoAfterARestart) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  constexpr int kPrompts = 20;
  constexpr size_t kFewestHits = 5;
#else
  constexpr int kPrompts = 200;
  constexpr size_t kFewestHits = 100;
#endif
  const auto model = Model::load(std::string(SPOLIA_SOURCE_DIR) + "/engine/models/micro",
                                 {.digestCache = std::nullopt});
  ASSERT_TRUE(model.ok()) << model.status().toString();
  const ModelConfig& config = (*model)->config();
  ThreadPool pool(2);
  const Transformer transformer(**model, pool, Rounding::kInvariant);
  const ::spolia::test::TemporaryDirectory directory;
  const auto open = [&] {
    EmbeddedStoreConfig store;
    store.directory = directory.path() / "store";
    store.capacityBytes = 1ull << 30;
    auto source = openEmbeddedKvSource(store);
    SPOLIA_CHECK(source.ok());
    return *std::move(source);
  };
  Linker::Config linking;
  linking.pageType = kPrefixPages;
  const auto answerOf = [&](int index, KvSource* source, LinkMethod method) {
    // Ten texts, of which prompts take beginnings: from below one chunk to more than two.
    std::vector<codec::TokenId> tokens = test::randomTokens(config, 700, 100 + index % 10);
    tokens.resize(200 + (index * 97) % 400);
    Linker linker(**model, transformer, pool, source, linking);
    Result<Answer> answer = answerPrompt(**model, transformer, linker,
                                         promptOf(config, std::move(tokens)), optionsFor(method));
    EXPECT_TRUE(answer.ok()) << answer.status().toString();
    return *std::move(answer);
  };
  std::vector<std::vector<codec::TokenId>> wanted;
  size_t hits = 0;
  std::unique_ptr<KvSource> source = open();
  for (int i = 0; i < kPrompts; ++i) {
    wanted.push_back(answerOf(i, nullptr, LinkMethod::kFull).tokens);
    const Answer cached = answerOf(i, source.get(), LinkMethod::kPrefix);
    EXPECT_EQ(cached.tokens, wanted.back()) << "prompt " << i;
    hits += cached.provenance.hits();
  }
  EXPECT_GT(hits, kFewestHits);
  source.reset();
  source = open();
  for (int i = 0; i < kPrompts; ++i) {
    const Answer cached = answerOf(i, source.get(), LinkMethod::kPrefix);
    EXPECT_EQ(cached.tokens, wanted[i]) << "prompt " << i << " after the restart";
    EXPECT_EQ(cached.provenance.chunksStored, 0u);
    EXPECT_EQ(cached.provenance.hits(), cached.provenance.chunks.size());
  }
}

}  // namespace
}  // namespace spolia::engine
