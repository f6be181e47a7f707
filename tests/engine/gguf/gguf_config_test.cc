// Keys become a configuration, or an error that names them.
#include "engine/gguf/gguf_config.h"

#include <cmath>

#include "tests/engine/gguf/small_model.h"
#include "tests/engine/model/model_dir.h"

namespace spolia::engine {
namespace {

using test::GgufWriter;
using test::smallModel;

Result<ModelConfig> configOf(const GgufWriter& writer) {
  const Bytes bytes = writer.make();
  const auto file = parseGguf(bytes, "x.gguf");
  if (!file.ok()) return file.status();
  return readGgufConfig(*file, "x.gguf");
}

TEST(GgufConfig, Llama) {
  const auto config = configOf(smallModel());
  ASSERT_TRUE(config.ok()) << config.status().toString();
  const ModelConfig expected = {.hiddenSize = 8,
                                .layers = 1,
                                .heads = 2,
                                .kvHeads = 1,
                                .headDim = 4,
                                .ffnSize = 16,
                                .vocabSize = 6,
                                .maxPositions = 64,
                                .rmsEps = 1e-5f,
                                .ropeTheta = 10000,
                                .tiedHead = true,
                                .bosToken = 0,
                                .eosTokens = {4}};
  EXPECT_EQ(*config, expected);
}

TEST(GgufConfig, PartsAreWhatTensorsThereAre) {
  GgufWriter writer = smallModel();
  writer.tensor("output.weight", 0, {8, 6}, Bytes(192));
  writer.tensor("blk.0.attn_q.bias", 0, {8}, Bytes(32));
  writer.tensor("blk.0.attn_output.bias", 0, {8}, Bytes(32));
  const auto config = configOf(writer);
  ASSERT_TRUE(config.ok()) << config.status().toString();
  EXPECT_FALSE(config->tiedHead);
  EXPECT_TRUE(config->qkvBias);
  EXPECT_TRUE(config->outputBias);
  EXPECT_FALSE(config->qkNorm);
  const auto qwen2 = configOf(smallModel("qwen2"));
  ASSERT_TRUE(qwen2.ok()) << qwen2.status().toString();
  EXPECT_TRUE(qwen2->qkvBias);
  EXPECT_FALSE(qwen2->outputBias);
  const auto qwen3 = configOf(smallModel("qwen3"));
  ASSERT_TRUE(qwen3.ok()) << qwen3.status().toString();
  EXPECT_TRUE(qwen3->qkNorm);
  EXPECT_FALSE(qwen3->qkvBias);
}

TEST(GgufConfig, OtherValues) {
  GgufWriter writer = smallModel();
  writer.add("llama.attention.key_length", 6u).add("llama.attention.value_length", 6u);
  writer.add("llama.rope.dimension_count", 6u).add("llama.rope.freq_base", 500000.0f);
  writer.add("llama.vocab_size", 5u).add("llama.attention.sliding_window", 32u);
  writer.add("tokenizer.ggml.eot_token_id", 3u);
  const auto config = configOf(writer);
  ASSERT_TRUE(config.ok()) << config.status().toString();
  EXPECT_EQ(config->headDim, 6u);
  EXPECT_EQ(config->ropeTheta, 500000.0f);
  EXPECT_EQ(config->vocabSize, 5u);
  EXPECT_EQ(config->windows, std::vector<uint32_t>{32});
  EXPECT_EQ(config->eosTokens, (std::vector<uint32_t>{4, 3}));
}

TEST(GgufConfig, RopeScaling) {
  GgufWriter linear = smallModel();
  linear.add("llama.rope.scaling.type", "linear").add("llama.rope.scaling.factor", 4.0f);
  const RopeScaling byFour = {.kind = RopeKind::kLinear, .factor = 4};
  EXPECT_EQ(configOf(linear)->ropeScaling, byFour);
  GgufWriter old = smallModel();
  EXPECT_EQ(configOf(old.add("llama.rope.scale_linear", 4.0f))->ropeScaling, byFour);

  GgufWriter yarn = smallModel("qwen2");
  yarn.add("qwen2.rope.scaling.type", "yarn").add("qwen2.rope.scaling.factor", 4.0f);
  yarn.add("qwen2.rope.scaling.original_context_length", 32u);
  const auto config = configOf(yarn);
  ASSERT_TRUE(config.ok()) << config.status().toString();
  const RopeScaling expected = {.kind = RopeKind::kYarn,
                                .factor = 4,
                                .originalPositions = 32,
                                .betaFast = 32,
                                .betaSlow = 1,
                                .truncate = true,
                                .attentionFactor = 0.1 * std::log(4.0) + 1.0};
  EXPECT_EQ(config->ropeScaling, expected);
  EXPECT_EQ(config->maxPositions, 128u);

  GgufWriter other = smallModel();
  expectError(configOf(other.add("llama.rope.scaling.type", "longrope")),
              {"x.gguf: llama.rope.scaling.type is \"longrope\"", "\"yarn\""});
}

TEST(GgufConfig, RopeFactors) {
  const std::vector<float> factors = {1, 8};
  GgufWriter writer = smallModel();
  writer.tensor("rope_freqs.weight", 0, {2}, std::as_bytes(std::span(factors)));
  const auto config = configOf(writer);
  ASSERT_TRUE(config.ok()) << config.status().toString();
  EXPECT_EQ(config->ropeScaling.kind, RopeKind::kFactors);
  EXPECT_EQ(config->ropeScaling.factors, factors);
  const auto frequencies = ropeFrequencies(4, 10000, config->ropeScaling);
  const auto plain = ropeFrequencies(4, 10000, {});
  EXPECT_EQ(frequencies, (std::vector<float>{plain[0], plain[1] / 8}));

  GgufWriter shape = smallModel();
  shape.tensor("rope_freqs.weight", 0, {3}, Bytes(12));
  expectError(configOf(shape), {"\"rope_freqs.weight\" is F32 [3]", "F32 [2]"});
  GgufWriter zero = smallModel();
  zero.tensor("rope_freqs.weight", 0, {2}, Bytes(8));
  expectError(configOf(zero), {"\"rope_freqs.weight\"", "positive numbers"});
  writer.add("llama.rope.scaling.type", "linear").add("llama.rope.scaling.factor", 4.0f);
  expectError(configOf(writer), {"\"rope_freqs.weight\"", "llama.rope.scaling.type"});
}

TEST(GgufConfig, ErrorsNameTheKey) {
  const auto expect = [](const char* key, uint32_t value, const char* expected) {
    GgufWriter writer = smallModel();
    writer.set(key, value);
    expectError(configOf(writer), {"x.gguf: ", key, expected});
  };
  expect("llama.block_count", 0, "1 to 1024");
  expect("llama.attention.head_count_kv", 3, "a divisor of llama.attention.head_count 2");
  expect("llama.attention.head_count", 3, "attention.key_length is missing");
  expect("llama.rope.dimension_count", 2, "4, the length of a head");
  expect("llama.expert_count", 8, "none or 0");
  expect("llama.attention.sliding_window", 1, "0 or at least 2");
  expect("llama.embedding_length", 1u << 20, "1 to 131072");
  expect("tokenizer.ggml.bos_token_id", 6, "0 to 5");
  expect("tokenizer.ggml.eos_token_id", 6, "0 to 5");
  for (const char* key :
       {"llama.block_count", "llama.embedding_length", "llama.feed_forward_length",
        "llama.context_length", "llama.attention.head_count", "tokenizer.ggml.bos_token_id",
        "llama.attention.layer_norm_rms_epsilon", "general.architecture", "tokenizer.ggml.model"}) {
    GgufWriter writer = smallModel();
    writer.remove(key);
    expectError(configOf(writer), {std::string("x.gguf: ") + key + " is missing"});
  }
  const auto gemma = configOf(smallModel("gemma2"));
  EXPECT_EQ(gemma.status().code(), ErrorCode::kUnsupported);
  expectError(gemma, {"general.architecture is \"gemma2\"", "\"qwen3\""});
}

}  // namespace
}  // namespace spolia::engine
