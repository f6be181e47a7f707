#include "engine/model/model_family.h"

#include "engine/model/weights.h"
#include "tests/engine/model/model_dir.h"

namespace spolia::engine {
namespace {

using nlohmann::json;

json smallest(const char* architecture) {
  return {{"architectures", {architecture}},
          {"hidden_size", 64},
          {"num_hidden_layers", 4},
          {"num_attention_heads", 4},
          {"num_key_value_heads", 2},
          {"intermediate_size", 96},
          {"vocab_size", 100},
          {"bos_token_id", 3}};
}

Result<ModelConfig> familyOf(const json& config) {
  return parseModelConfig(config.dump(), "", "config.json");
}

ModelConfig parsed(json file, const json& more = json::object()) {
  file.update(more);
  const auto config = familyOf(file);
  EXPECT_TRUE(config.ok()) << config.status().toString();
  return config.ok() ? *config : ModelConfig();
}

TEST(ModelFamily, LlamaHasBiasesWhereTheFileSaysSo) {
  const json file = smallest("LlamaForCausalLM");
  EXPECT_FALSE(parsed(file).qkvBias);
  const ModelConfig biased = parsed(file, {{"attention_bias", true}});
  EXPECT_TRUE(biased.qkvBias && biased.outputBias);
  EXPECT_FALSE(biased.qkNorm);
  // Of another family, and not read.
  EXPECT_TRUE(parsed(file, {{"sliding_window", 16}}).windows.empty());
}

TEST(ModelFamily, MistralSlidesInEveryLayerUnlessItSaysNull) {
  const json file = smallest("MistralForCausalLM");
  EXPECT_EQ(parsed(file).windows, std::vector<uint32_t>(4, 4096));
  EXPECT_EQ(parsed(file).maxPositions, 131072u);
  EXPECT_EQ(parsed(file, {{"sliding_window", 16}}).windows, std::vector<uint32_t>(4, 16));
  EXPECT_TRUE(parsed(file, {{"sliding_window", nullptr}}).windows.empty());
  // No field of Mistral's.
  EXPECT_FALSE(parsed(file, {{"attention_bias", true}}).qkvBias);
}

TEST(ModelFamily, Qwen2HasBiasesButNoneOnTheOutput) {
  const ModelConfig config = parsed(smallest("Qwen2ForCausalLM"));
  EXPECT_TRUE(config.qkvBias);
  EXPECT_FALSE(config.outputBias || config.qkNorm);
  EXPECT_EQ(config.headDim, 16u);
  EXPECT_EQ(config.maxPositions, 32768u);
  EXPECT_TRUE(config.windows.empty());
}

TEST(ModelFamily, Qwen3HasNormsAndHeadsOf128) {
  const ModelConfig config = parsed(smallest("Qwen3ForCausalLM"));
  EXPECT_TRUE(config.qkNorm);
  EXPECT_FALSE(config.qkvBias || config.outputBias);
  EXPECT_EQ(config.headDim, 128u);
  EXPECT_EQ(parsed(smallest("Qwen3ForCausalLM"), {{"head_dim", 32}}).headDim, 32u);
  EXPECT_TRUE(parsed(smallest("Qwen3ForCausalLM"), {{"attention_bias", true}}).outputBias);
}

TEST(ModelFamily, KvHeadsDefaultAsTheFamilyHasThem) {
  json file = smallest("MistralForCausalLM");
  file.erase("num_key_value_heads");
  file["num_attention_heads"] = 16;
  EXPECT_EQ(parsed(file).kvHeads, 8u);
  file["num_key_value_heads"] = nullptr;
  EXPECT_EQ(parsed(file).kvHeads, 16u);
}

TEST(ModelFamily, QwenNamesItsFirstTokenAndMayHaveNoLast) {
  json file = smallest("Qwen2ForCausalLM");
  EXPECT_TRUE(parsed(file).eosTokens.empty());
  file.erase("bos_token_id");
  expectError(familyOf(file), {"bos_token_id is missing"});
}

TEST(ModelFamily, QwenSlidesInTheLayersItNames) {
  using Windows = std::vector<uint32_t>;
  for (const char* architecture : {"Qwen2ForCausalLM", "Qwen3ForCausalLM"}) {
    const json file = smallest(architecture);
    json slides = {{"sliding_window", 16}, {"max_window_layers", 3}};
    EXPECT_TRUE(parsed(file, slides).windows.empty()) << "use_sliding_window is false by default";
    slides["use_sliding_window"] = true;
    EXPECT_EQ(parsed(file, slides).windows, (Windows{0, 0, 0, 16}));
    slides["max_window_layers"] = 28;
    EXPECT_TRUE(parsed(file, slides).windows.empty());
    slides["layer_types"] = {"sliding_attention", "full_attention", "sliding_attention",
                             "full_attention"};
    EXPECT_EQ(parsed(file, slides).windows, (Windows{16, 0, 16, 0}));
    slides["sliding_window"] = nullptr;
    EXPECT_TRUE(parsed(file, slides).windows.empty());
    slides.erase("sliding_window");
    EXPECT_EQ(parsed(file, slides).windows, (Windows{4096, 0, 4096, 0}));
  }
}

TEST(ModelFamily, NonsenseIsNamed) {
  const auto refused = [](const json& more, const std::vector<std::string>& parts) {
    json file = smallest("Qwen2ForCausalLM");
    file.update({{"use_sliding_window", true}, {"sliding_window", 16}});
    file.update(more);
    expectError(familyOf(file), parts);
  };
  refused({{"use_sliding_window", 1}}, {"use_sliding_window", "true or false"});
  refused({{"sliding_window", 1}, {"max_window_layers", 0}}, {"sliding_window is 1", "from 2"});
  refused({{"sliding_window", "16"}, {"max_window_layers", 0}}, {"sliding_window"});
  refused({{"max_window_layers", -1}}, {"max_window_layers"});
  refused({{"layer_types", {"full_attention"}}}, {"layer_types", "a list of 4"});
  refused({{"layer_types", {1, 2, 3, 4}}}, {"layer_types", "a list of 4"});
  refused({{"layer_types", std::vector<std::string>(4, "chunked_attention")}},
          {"layer_types", "\"sliding_attention\""});
}

// config.json as published, without what no part of the engine reads.
constexpr char kLlama32[] = R"({"architectures": ["LlamaForCausalLM"], "attention_bias": false,
  "bos_token_id": 128000, "eos_token_id": 128001, "head_dim": 64, "hidden_act": "silu",
  "hidden_size": 2048, "intermediate_size": 8192, "max_position_embeddings": 131072,
  "mlp_bias": false, "model_type": "llama", "num_attention_heads": 32, "num_hidden_layers": 16,
  "num_key_value_heads": 8, "rms_norm_eps": 1e-05, "rope_scaling": {"factor": 32.0,
  "high_freq_factor": 4.0, "low_freq_factor": 1.0, "original_max_position_embeddings": 8192,
  "rope_type": "llama3"}, "rope_theta": 500000.0, "tie_word_embeddings": true,
  "vocab_size": 128256})";
constexpr char kSmolLm2[] = R"({"architectures": ["LlamaForCausalLM"], "attention_bias": false,
  "bos_token_id": 0, "eos_token_id": 0, "hidden_act": "silu", "hidden_size": 576,
  "intermediate_size": 1536, "is_llama_config": true, "max_position_embeddings": 8192,
  "mlp_bias": false, "model_type": "llama", "num_attention_heads": 9, "num_hidden_layers": 30,
  "num_key_value_heads": 3, "rms_norm_eps": 1e-05, "rope_interleaved": false,
  "rope_scaling": null, "rope_theta": 100000, "tie_word_embeddings": true, "vocab_size": 49152})";
constexpr char kMistral7B[] = R"({"architectures": ["MistralForCausalLM"], "bos_token_id": 1,
  "eos_token_id": 2, "hidden_act": "silu", "hidden_size": 4096, "intermediate_size": 14336,
  "max_position_embeddings": 32768, "model_type": "mistral", "num_attention_heads": 32,
  "num_hidden_layers": 32, "num_key_value_heads": 8, "rms_norm_eps": 1e-05,
  "rope_theta": 10000.0, "sliding_window": 4096, "tie_word_embeddings": false,
  "vocab_size": 32000})";
constexpr char kQwen25[] = R"({"architectures": ["Qwen2ForCausalLM"], "bos_token_id": 151643,
  "eos_token_id": 151643, "hidden_act": "silu", "hidden_size": 896, "intermediate_size": 4864,
  "max_position_embeddings": 32768, "max_window_layers": 24, "model_type": "qwen2",
  "num_attention_heads": 14, "num_hidden_layers": 24, "num_key_value_heads": 2,
  "rms_norm_eps": 1e-06, "rope_theta": 1000000.0, "sliding_window": 32768,
  "tie_word_embeddings": true, "use_mrope": false, "use_sliding_window": false,
  "vocab_size": 151936})";
constexpr char kQwen3[] = R"({"architectures": ["Qwen3ForCausalLM"], "attention_bias": false,
  "bos_token_id": 151643, "eos_token_id": 151645, "head_dim": 128, "hidden_act": "silu",
  "hidden_size": 1024, "intermediate_size": 3072, "max_position_embeddings": 40960,
  "max_window_layers": 28, "model_type": "qwen3", "num_attention_heads": 16,
  "num_hidden_layers": 28, "num_key_value_heads": 8, "rms_norm_eps": 1e-06,
  "rope_scaling": null, "rope_theta": 1000000, "sliding_window": null,
  "tie_word_embeddings": true, "use_sliding_window": false, "vocab_size": 151936})";

// A part too many, too few or of another shape would show.
TEST(ModelFamily, PublishedModelsHaveTheParametersTheyAreKnownFor) {
  const std::pair<const char*, uint64_t> models[] = {{kLlama32, 1'235'814'400},
                                                     {kSmolLm2, 134'515'008},
                                                     {kMistral7B, 7'241'732'096},
                                                     {kQwen25, 494'032'768},
                                                     {kQwen3, 596'049'920}};
  for (const auto& [file, parameters] : models) {
    const auto config = parseModelConfig(file, "", "config.json");
    ASSERT_TRUE(config.ok()) << config.status().toString();
    uint64_t values = 0;
    for (const TensorSpec& spec : tensorSpecs(*config)) {
      values += uint64_t{spec.rows} * spec.columns;
    }
    EXPECT_EQ(values, parameters) << file;
  }
}

}  // namespace
}  // namespace spolia::engine
