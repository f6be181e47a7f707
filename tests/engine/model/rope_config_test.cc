#include "engine/model/rope_config.h"

#include <cmath>
#include <set>

#include "tests/engine/model/model_dir.h"

namespace spolia::engine {
namespace {

using nlohmann::json;

Result<ModelConfig> ropeOf(const json& more) {
  json file = {{"architectures", {"LlamaForCausalLM"}},
               {"hidden_size", 64},
               {"num_hidden_layers", 2},
               {"num_attention_heads", 4},
               {"intermediate_size", 96},
               {"vocab_size", 100},
               {"max_position_embeddings", 4096},
               {"rope_theta", 500000.0}};
  file.update(more);
  return parseModelConfig(file.dump(), "", "config.json");
}

ModelConfig withRope(const json& scaling, const char* field = "rope_scaling") {
  const auto config = ropeOf({{field, scaling}});
  EXPECT_TRUE(config.ok()) << config.status().toString();
  return config.ok() ? *config : ModelConfig();
}

TEST(RopeConfig, OlderAndNewerFilesSayTheSame) {
  const json linear = {{"type", "linear"}, {"factor", 4}};
  const RopeScaling expected = {.kind = RopeKind::kLinear, .factor = 4};
  EXPECT_EQ(withRope(linear).ropeScaling, expected);
  EXPECT_EQ(withRope(linear).ropeTheta, 500000.0f);
  const json newer = {{"rope_type", "linear"}, {"factor", 4.0}, {"rope_theta", 1e6}};
  const ModelConfig config = withRope(newer, "rope_parameters");
  EXPECT_EQ(config.ropeScaling, expected);
  EXPECT_EQ(config.ropeTheta, 1e6f);
  EXPECT_TRUE(ropeOf({{"rope_parameters", newer}, {"rope_scaling", linear}}).ok());
  expectError(ropeOf({{"rope_parameters", newer}, {"rope_scaling", {{"type", "default"}}}}),
              {"rope_scaling", "what rope_parameters says"});
  EXPECT_EQ(withRope({{"rope_type", "default"}}).ropeScaling, RopeScaling());
  EXPECT_EQ(withRope(nullptr).ropeScaling, RopeScaling());
}

TEST(RopeConfig, DynamicIsPlainUpToThePositionsThereAre) {
  const ModelConfig config = withRope({{"type", "dynamic"}, {"factor", 2.5}});
  EXPECT_EQ(config.ropeScaling.kind, RopeKind::kDynamic);
  EXPECT_EQ(config.maxPositions, 4096u);
}

TEST(RopeConfig, Llama3NamesAllItsNumbers) {
  const json full = {{"rope_type", "llama3"},
                     {"factor", 8.0},
                     {"low_freq_factor", 1.0},
                     {"high_freq_factor", 4.0},
                     {"original_max_position_embeddings", 8192}};
  const RopeScaling expected = {.kind = RopeKind::kLlama3,
                                .factor = 8,
                                .originalPositions = 8192,
                                .lowFrequencyFactor = 1,
                                .highFrequencyFactor = 4};
  EXPECT_EQ(withRope(full).ropeScaling, expected);
  for (const char* field :
       {"factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"}) {
    json less = full;
    less.erase(field);
    expectError(ropeOf({{"rope_scaling", less}}), {std::string("rope_scaling.") + field});
  }
  json crossed = full;
  crossed["high_freq_factor"] = 1.0;
  expectError(ropeOf({{"rope_scaling", crossed}}), {"high_freq_factor", "above low_freq_factor"});
}

// What Qwen's documentation says to add for long prompts.
TEST(RopeConfig, YarnDefaultsAndReach) {
  const json file = {{"type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 4096}};
  const ModelConfig config = withRope(file);
  EXPECT_EQ(config.maxPositions, 16384u);
  EXPECT_EQ(config.ropeScaling.betaFast, 32);
  EXPECT_EQ(config.ropeScaling.betaSlow, 1);
  EXPECT_TRUE(config.ropeScaling.truncate);
  EXPECT_DOUBLE_EQ(config.ropeScaling.attentionFactor, 0.1 * std::log(4.0) + 1);
  EXPECT_FLOAT_EQ(config.attentionScale(),
                  static_cast<float>(std::pow(0.1 * std::log(4.0) + 1, 2) / 4));
}

TEST(RopeConfig, YarnFieldsWinOverDefaults) {
  const json own = {{"rope_type", "yarn"}, {"factor", 2},           {"beta_fast", 16},
                    {"beta_slow", 2},      {"truncate", false},     {"attention_factor", 1.25},
                    {"mscale", 1.0},       {"mscale_all_dim", 0.5}, {"beta_unknown", "text"}};
  RopeScaling expected = {.kind = RopeKind::kYarn,
                          .factor = 2,
                          .originalPositions = 4096,
                          .betaFast = 16,
                          .betaSlow = 2,
                          .truncate = false,
                          .attentionFactor = 1.25};
  EXPECT_EQ(withRope(own).ropeScaling, expected);
  json scaled = own;
  scaled.erase("attention_factor");
  expected.attentionFactor = (0.1 * std::log(2.0) + 1) / (0.05 * std::log(2.0) + 1);
  EXPECT_EQ(withRope(scaled).ropeScaling, expected);
  // Without a factor, how much further than the training the model reaches.
  scaled.erase("factor");
  scaled["original_max_position_embeddings"] = 1024;
  EXPECT_EQ(withRope(scaled).ropeScaling.factor, 4);
}

TEST(RopeConfig, WhatIsNotSupportedIsNamed) {
  const auto unsupported = [](const json& scaling, const std::vector<std::string>& parts) {
    const auto config = ropeOf({{"rope_scaling", scaling}});
    expectError(config, parts);
    EXPECT_EQ(config.status().code(), ErrorCode::kUnsupported) << scaling;
  };
  unsupported({{"rope_type", "longrope"}},
              {"config.json: rope_scaling.rope_type is \"longrope\"", "\"llama3\", \"yarn\""});
  unsupported({{"type", "mrope"}}, {"rope_scaling.type is \"mrope\""});
  unsupported({{"rope_type", "default"}, {"partial_rotary_factor", 0.5}},
              {"rope_scaling.partial_rotary_factor is 0.5"});
  unsupported({{"full_attention", {{"rope_type", "default"}}}},
              {"rope_scaling.full_attention", "one RoPE for all layers"});
}

TEST(RopeConfig, NonsenseIsNamed) {
  expectError(ropeOf({{"rope_scaling", 3}}), {"rope_scaling", "null or an object"});
  expectError(ropeOf({{"rope_scaling", {{"type", 3}}}}), {"rope_scaling.type", "a string"});
  for (const json& factor : {json(0.5), json("2"), json(1e9), json()}) {
    expectError(ropeOf({{"rope_scaling", {{"type", "linear"}, {"factor", factor}}}}),
                {"rope_scaling.factor", "a number from 1"});
  }
  const json yarn = {{"type", "yarn"}, {"factor", 2}};
  expectError(ropeOf({{"rope_theta", 1}, {"rope_scaling", yarn}}), {"rope_theta", "above 1"});
  for (const char* field : {"beta_fast", "beta_slow", "attention_factor"}) {
    json bad = yarn;
    bad[field] = -1;
    expectError(ropeOf({{"rope_scaling", bad}}), {std::string("rope_scaling.") + field});
  }
}

TEST(RopeConfig, CanonicalTextsDifferWhereAnglesDo) {
  const ModelConfig plain = withRope(nullptr);
  EXPECT_EQ(canonicalRope(plain), "kind=halves\ntheta=5e+05\nhead_dim=16\nscaling=none\n");
  ModelConfig longer = plain;
  longer.maxPositions = 7;
  EXPECT_EQ(canonicalRope(longer), canonicalRope(plain));
  longer.ropeTheta = std::nextafter(plain.ropeTheta, 1e9f);
  EXPECT_NE(canonicalRope(longer), canonicalRope(plain));

  const json llama3 = {{"type", "llama3"},
                       {"factor", 8.0},
                       {"low_freq_factor", 1.0},
                       {"high_freq_factor", 4.0},
                       {"original_max_position_embeddings", 1024}};
  std::vector<json> scalings = {nullptr,
                                {{"type", "linear"}, {"factor", 2}},
                                {{"type", "linear"}, {"factor", 3}},
                                {{"type", "dynamic"}, {"factor", 2}},
                                llama3};
  for (const char* field :
       {"factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"}) {
    scalings.push_back(llama3);
    scalings.back()[field] = 3;
  }
  const json yarn = {{"type", "yarn"}, {"factor", 8.0}};
  scalings.push_back(yarn);
  for (const char* field : {"factor", "beta_fast", "beta_slow", "attention_factor",
                            "original_max_position_embeddings"}) {
    scalings.push_back(yarn);
    scalings.back()[field] = 3;
  }
  scalings.push_back(yarn);
  scalings.back()["truncate"] = false;
  std::set<std::string> texts;
  for (const json& scaling : scalings) {
    EXPECT_TRUE(texts.insert(canonicalRope(withRope(scaling))).second) << scaling;
  }
}

// No config.json has them; a configuration made of another file may.
TEST(RopeConfig, Factors) {
  const ModelConfig plain = withRope(nullptr);
  ModelConfig config = plain;
  config.ropeScaling.kind = RopeKind::kFactors;
  EXPECT_FALSE(checkRope(config).ok());
  config.ropeScaling.factors.assign(8, 2.0f);
  EXPECT_TRUE(checkRope(config).ok());
  const std::string text = canonicalRope(config);
  EXPECT_NE(text, canonicalRope(plain));
  config.ropeScaling.factors[7] = 3;
  EXPECT_NE(canonicalRope(config), text);
  for (const float wrong : {0.0f, -1.0f, INFINITY, NAN}) {
    config.ropeScaling.factors[7] = wrong;
    EXPECT_FALSE(checkRope(config).ok()) << wrong;
  }
  config.ropeScaling.factors.assign(7, 2.0f);
  EXPECT_FALSE(checkRope(config).ok());
  config = plain;
  config.ropeScaling.factors.assign(8, 2.0f);
  EXPECT_FALSE(checkRope(config).ok()) << "of another kind";
}

}  // namespace
}  // namespace spolia::engine
