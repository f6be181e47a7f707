#include "engine/model/model_config.h"

#include <set>

#include "tests/engine/model/model_dir.h"

namespace spolia::engine {
namespace {

using nlohmann::json;

json smallest() {
  return {{"architectures", {"LlamaForCausalLM"}},
          {"hidden_size", 64},
          {"num_hidden_layers", 2},
          {"num_attention_heads", 4},
          {"intermediate_size", 96},
          {"vocab_size", 100}};
}

Result<ModelConfig> parse(const json& config, const std::string& generation = "") {
  return parseModelConfig(config.dump(), generation, "config.json");
}

TEST(ModelConfig, AbsentFieldsHaveTheReferenceDefaults) {
  const auto config = parse(smallest());
  ASSERT_TRUE(config.ok()) << config.status().toString();
  const ModelConfig expected = {.hiddenSize = 64,
                                .layers = 2,
                                .heads = 4,
                                .kvHeads = 4,
                                .headDim = 16,
                                .ffnSize = 96,
                                .vocabSize = 100,
                                .maxPositions = 2048,
                                .rmsEps = 1e-6f,
                                .ropeTheta = 10000,
                                .tiedHead = false,
                                .bosToken = 1,
                                .eosTokens = {2}};
  EXPECT_EQ(*config, expected);
}

TEST(ModelConfig, ReadsEveryFieldAndIgnoresUnknownOnes) {
  json file = smallest();
  file.update({{"num_key_value_heads", 2},
               {"head_dim", 32},
               {"max_position_embeddings", 512},
               {"rms_norm_eps", 1e-5},
               {"rope_theta", 500000},
               {"rope_scaling", nullptr},
               {"tie_word_embeddings", true},
               {"bos_token_id", 7},
               {"eos_token_id", {8, 9}},
               {"attention_bias", false},
               {"torch_dtype", "float32"},
               {"use_cache", true},
               {"something_new", {{"deep", 1}}}});
  const auto config = parse(file);
  ASSERT_TRUE(config.ok()) << config.status().toString();
  EXPECT_EQ(config->kvHeads, 2u);
  EXPECT_EQ(config->headDim, 32u);
  EXPECT_EQ(config->queryChannels(), 128u);
  EXPECT_EQ(config->kvChannels(), 64u);
  EXPECT_EQ(config->maxPositions, 512u);
  EXPECT_EQ(config->rmsEps, 1e-5f);
  EXPECT_EQ(config->ropeTheta, 500000.0f);
  EXPECT_TRUE(config->tiedHead);
  EXPECT_EQ(config->bosToken, 7u);
  EXPECT_EQ(config->eosTokens, (std::vector<uint32_t>{8, 9}));
}

TEST(ModelConfig, NewerFilesKeepThetaInRopeParameters) {
  json file = smallest();
  file["rope_parameters"] = {{"rope_type", "default"}, {"rope_theta", 123456.0}};
  const auto config = parse(file);
  ASSERT_TRUE(config.ok()) << config.status().toString();
  EXPECT_EQ(config->ropeTheta, 123456.0f);
}

TEST(ModelConfig, GenerationConfigSaysWhereToEnd) {
  json file = smallest();
  file["eos_token_id"] = 3;
  EXPECT_EQ(parse(file, R"({"eos_token_id": [4, 5]})")->eosTokens, (std::vector<uint32_t>{4, 5}));
  EXPECT_EQ(parse(file, R"({"do_sample": false})")->eosTokens, (std::vector<uint32_t>{3}));
  expectError(parse(file, R"({"eos_token_id": "x"})"),
              {"generation_config.json", "eos_token_id", "\"x\""});
}

TEST(ModelConfig, AnotherArchitectureIsNamed) {
  json file = smallest();
  file["architectures"] = {"GemmaForCausalLM"};
  const auto config = parse(file);
  expectError(config, {"config.json", "unsupported architecture \"GemmaForCausalLM\"",
                       "expected LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM or Qwen3"});
  EXPECT_EQ(config.status().code(), ErrorCode::kUnsupported);
}

struct Wrong {
  const char* field;
  json value;
  const char* expected;
};

TEST(ModelConfig, EveryNonsenseNamesFileFieldAndExpectation) {
  const Wrong cases[] = {
      {"hidden_size", nullptr, "an integer from 1"},
      {"hidden_size", 0, "an integer from 1"},
      {"hidden_size", -64, "an integer from 1"},
      {"hidden_size", 64.5, "an integer from 1"},
      {"hidden_size", "64", "an integer from 1"},
      {"hidden_size", 66, "num_attention_heads"},
      {"num_hidden_layers", 4294967296, "an integer from 1"},
      {"num_key_value_heads", 3, "a divisor of num_attention_heads 4"},
      {"head_dim", 15, "even"},
      {"rms_norm_eps", -1, "a number from 0"},
      {"rms_norm_eps", json::array(), "a number from 0"},
      {"rope_theta", 0, "a number from 1"},
      {"hidden_act", "gelu", "\"silu\""},
      {"attention_bias", 1, "true or false"},
      {"partial_rotary_factor", 0.5, "1"},
      {"mlp_bias", true, "false"},
      {"tie_word_embeddings", 1, "true or false"},
      {"quantization_config", {{"bits", 4}}, "F32, F16 or BF16"},
      {"bos_token_id", 100, "below vocab_size 100"},
      {"eos_token_id", {1, 100}, "below vocab_size 100"},
      {"eos_token_id", {1, -1}, "a token id"},
      {"architectures", json::array(), "LlamaForCausalLM"},
      {"architectures", "LlamaForCausalLM", "LlamaForCausalLM"},
  };
  for (const Wrong& wrong : cases) {
    SCOPED_TRACE(std::string(wrong.field) + " = " + wrong.value.dump());
    json file = smallest();
    file[wrong.field] = wrong.value;
    expectError(parse(file), {"config.json", wrong.expected});
    if (std::string(wrong.field) != "hidden_size" || wrong.value != 66) {
      expectError(parse(file), {wrong.field});
    }
  }
}

TEST(ModelConfig, BrokenJsonIsNamedWithItsPlace) {
  expectError(parseModelConfig("{\"hidden_size\": 3,", "", "x/config.json"),
              {"x/config.json", "expected JSON", "byte 19"});
  expectError(parseModelConfig("[1]", "", "x/config.json"), {"x/config.json", "an object"});
  expectError(parseModelConfig("", "", "x/config.json"), {"x/config.json"});
  expectError(parseModelConfig(R"({"a": 1, "a": 2})", "", "x/config.json"), {"\"a\"", "twice"});
  const std::string deep(100000, '[');
  expectError(parseModelConfig(deep, "", "x/config.json"), {"nested deeper than 32"});
}

TEST(ModelConfig, MissingFileIsNamed) {
  ModelDir dir;
  const auto config = loadModelConfig(dir.path());
  expectError(config, {(dir / "config.json").string(), "does not exist"});
  EXPECT_EQ(config.status().code(), ErrorCode::kNotFound);
}

TEST(ModelConfig, ModelTypeStandsInForTheArchitecture) {
  json file = smallest();
  file.erase("architectures");
  expectError(parse(file), {"architectures", "missing"});
  file["model_type"] = "llama";
  EXPECT_EQ(*parse(file), *parse(smallest()));
  file["model_type"] = "gpt2";
  EXPECT_EQ(parse(file).status().code(), ErrorCode::kUnsupported);
  expectError(parse(file), {"model_type is \"gpt2\"", "llama, mistral, qwen2 or qwen3"});
}

TEST(ModelConfig, CanonicalTextsChangeExactlyWithWhatKvDependsOn) {
  const ModelConfig base = *parse(smallest());
  ModelConfig other = base;
  other.maxPositions = 7;
  other.eosTokens = {};
  EXPECT_EQ(canonicalConfig(base), canonicalConfig(other));
  other.rmsEps = std::nextafter(base.rmsEps, 1.0f);
  EXPECT_NE(canonicalConfig(base), canonicalConfig(other));
  const std::function<void(ModelConfig&)> parts[] = {[](ModelConfig& c) { c.qkvBias = true; },
                                                     [](ModelConfig& c) { c.outputBias = true; },
                                                     [](ModelConfig& c) { c.qkNorm = true; },
                                                     [](ModelConfig& c) {
                                                       c.windows = {0, 12};
                                                     },
                                                     [](ModelConfig& c) {
                                                       c.windows = {12, 0};
                                                     }};
  std::set<std::string> texts = {canonicalConfig(base)};
  for (const auto& change : parts) {
    ModelConfig changed = base;
    change(changed);
    EXPECT_TRUE(texts.insert(canonicalConfig(changed)).second) << canonicalConfig(changed);
  }
}

// Stores are full of chunks under it.
TEST(ModelConfig, TheTextOfPlainLlamaStays) {
  EXPECT_EQ(canonicalConfig(*parse(smallest())),
            "architecture=LlamaForCausalLM\nhidden_size=64\nlayers=2\nheads=4\nkv_heads=4\n"
            "head_dim=16\nffn_size=96\nvocab_size=100\nrms_eps=1e-06\ntied_head=false\n"
            "bos_token=1\n");
}

}  // namespace
}  // namespace spolia::engine
