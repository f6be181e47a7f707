#include "engine/model/weights.h"

#include <cmath>

#include "engine/kernels/reference.h"
#include "tests/engine/model/model_dir.h"

namespace spolia::engine {
namespace {

using nlohmann::json;

Result<Weights> weightsFrom(const std::filesystem::path& directory) {
  auto config = loadModelConfig(directory);
  if (!config.ok()) return config.status();
  auto source = openWeights(directory);
  if (!source.ok()) return source.status();
  return Weights::load(*config, **source);
}

TEST(Weights, MatricesHaveTheShapesOfTheConfiguration) {
  for (const char* name : {"tied_group4_bf16", "untied_group1_f32_shards", "tied_group2_f16"}) {
    SCOPED_TRACE(name);
    const auto weights = weightsFrom(goldenDir(name));
    ASSERT_TRUE(weights.ok()) << weights.status().toString();
    const ModelConfig config = *loadModelConfig(goldenDir(name));
    ASSERT_EQ(weights->layers().size(), config.layers);
    const LayerWeights& layer = weights->layers().back();
    EXPECT_EQ(weights->embedding().outputs(), config.vocabSize);
    EXPECT_EQ(layer.q.outputs(), config.queryChannels());
    EXPECT_EQ(layer.v.outputs(), config.kvChannels());
    EXPECT_EQ(layer.o.inputs(), config.queryChannels());
    EXPECT_EQ(layer.down.inputs(), config.ffnSize);
    EXPECT_EQ(layer.ffnNorm.rows(), 1u);
    EXPECT_EQ(&weights->head() == &weights->embedding(), config.tiedHead);
    const auto source = openWeights(goldenDir(name));
    ASSERT_TRUE(source.ok()) << source.status().toString();
    const TensorEntry* up = (*source)->find("model.layers.0.mlp.up_proj.weight");
    ASSERT_NE(up, nullptr);
    EXPECT_EQ(blockBytes(layer.up.type()), blockBytes(*weightTypeOf(up->type)));
  }
}

// One layer of the f16 model with values put into its file by hand.
TEST(Weights, WidensEveryHalfExactly) {
  ModelDir dir("tied_group2_f16");
  std::string bytes = dir.read("model.safetensors");
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  const json header = json::parse(bytes.substr(8, length));
  const size_t at =
      8 + length + header["model.embed_tokens.weight"]["data_offsets"][0].get<size_t>();
  const std::pair<uint16_t, float> cases[] = {
      {0x0000, 0.0f},        {0x8000, -0.0f},         {0x3C00, 1.0f},     {0xC000, -2.0f},
      {0x0001, 0x1p-24f},    {0x83FF, -0x1.FF8p-15f}, {0x0400, 0x1p-14f}, {0x7BFF, 65504.0f},
      {0x3555, 0x1.554p-2f}, {0x7C00, INFINITY},      {0xFC00, -INFINITY}};
  for (size_t i = 0; i < std::size(cases); ++i) {
    std::memcpy(bytes.data() + at + 2 * i, &cases[i].first, 2);
  }
  dir.write("model.safetensors", bytes);
  const auto weights = weightsFrom(dir.path());
  ASSERT_TRUE(weights.ok());
  const Matrix embedding = weights->embedding().unpacked();
  for (size_t i = 0; i < std::size(cases); ++i) {
    const float found = embedding.row(0)[i];
    EXPECT_EQ(found, cases[i].second) << i;
    EXPECT_EQ(std::signbit(found), std::signbit(cases[i].second)) << i;
  }
}

TEST(Weights, Bf16IsTheUpperHalfOfF32) {
  ModelDir dir("tied_group4_bf16");
  const auto source = openWeights(dir.path());
  const auto weights = weightsFrom(dir.path());
  ASSERT_TRUE(weights.ok());
  const TensorEntry* entry = (*source)->find("model.layers.1.mlp.up_proj.weight");
  const Matrix up = weights->layers()[1].up.unpacked();
  for (size_t i = 0; i < up.rows() * up.columns(); ++i) {
    uint32_t bits = 0;
    std::memcpy(reinterpret_cast<char*>(&bits) + 2, entry->bytes.data() + 2 * i, 2);
    uint32_t found = 0;
    std::memcpy(&found, up.data() + i, sizeof found);
    ASSERT_EQ(found, bits) << i;
  }
}

TEST(Weights, AMissingTensorIsNamed) {
  ModelDir dir("tied_group4_bf16");
  dir.editHeader("model.safetensors", [](json& header) {
    header["other"] = header["model.layers.1.mlp.up_proj.weight"];
    header.erase("model.layers.1.mlp.up_proj.weight");
  });
  expectError(weightsFrom(dir.path()),
              {(dir / "model.safetensors").string(), "\"model.layers.1.mlp.up_proj.weight\"",
               "missing", "expected with shape [96, 64]"});
}

TEST(Weights, AWrongShapeIsNamed) {
  ModelDir dir("tied_group4_bf16");
  dir.editHeader("model.safetensors", [](json& header) {
    header["model.layers.0.self_attn.k_proj.weight"]["shape"] = {64, 32};
  });
  expectError(weightsFrom(dir.path()),
              {(dir / "model.safetensors").string(), "\"model.layers.0.self_attn.k_proj.weight\"",
               "has shape [64, 32]", "expected [32, 64]"});
}

TEST(Weights, AConfigurationOfAnotherModelIsNoticed) {
  ModelDir dir("tied_group4_bf16");
  dir.editJson("config.json", [](json& config) { config["num_hidden_layers"] = 3; });
  expectError(weightsFrom(dir.path()), {"\"model.layers.2.input_layernorm.weight\"", "missing"});
  dir.editJson("config.json", [](json& config) {
    config["num_hidden_layers"] = 2;
    config["tie_word_embeddings"] = false;
  });
  expectError(weightsFrom(dir.path()), {"\"lm_head.weight\"", "missing"});
}

TEST(Weights, AnotherElementTypeIsNamed) {
  ModelDir dir("tied_group4_bf16");
  dir.editHeader("model.safetensors",
                 [](json& header) { header["model.norm.weight"]["dtype"] = "I16"; });
  expectError(weightsFrom(dir.path()),
              {"\"model.norm.weight\"", "I16", "expected F32, F16 or BF16"});
}

TEST(Weights, BiasesAreNotLeftOutSilently) {
  ModelDir dir("tied_group4_bf16");
  dir.editHeader("model.safetensors", [](json& header) {
    uint64_t last = 0;
    for (const auto& [name, entry] : header.items()) {
      if (name != "__metadata__") last = std::max(last, entry["data_offsets"][1].get<uint64_t>());
    }
    header["model.layers.0.self_attn.q_proj.bias"] = {
        {"dtype", "BF16"}, {"shape", {0}}, {"data_offsets", {last, last}}};
  });
  expectError(weightsFrom(dir.path()), {"q_proj.bias", "expected none of that name"});
}

// A row as f32, of a tensor as it stands in the golden model's file.
void expectTensor(const Matrix& row, const char* model, const char* name) {
  const auto source = openWeights(goldenDir(model));
  const TensorEntry* entry = (*source)->find(name);
  const size_t size = blockBytes(*weightTypeOf(entry->type));
  ASSERT_EQ(row.columns() * size, entry->bytes.size()) << name;
  for (size_t i = 0; i < row.columns(); ++i) {
    float expected = 0;
    uint16_t half = 0;
    std::memcpy(&half, entry->bytes.data() + 2 * i, sizeof half);
    if (entry->type == TensorType::kF16) expected = reference::widenF16(half);
    if (entry->type == TensorType::kBf16) expected = reference::widenBf16(half);
    if (size == sizeof expected) std::memcpy(&expected, entry->bytes.data() + 4 * i, 4);
    ASSERT_EQ(row.row(0)[i], expected) << name << " " << i;
  }
}

TEST(Weights, PartsOfAFamilyAreBoundAndMissedByName) {
  const auto qwen2 = weightsFrom(goldenDir("qwen2_dynamic"));
  ASSERT_TRUE(qwen2.ok()) << qwen2.status().toString();
  const LayerWeights& biased = qwen2->layers().back();
  expectTensor(biased.qBias, "qwen2_dynamic", "model.layers.1.self_attn.q_proj.bias");
  expectTensor(biased.kBias, "qwen2_dynamic", "model.layers.1.self_attn.k_proj.bias");
  expectTensor(biased.vBias, "qwen2_dynamic", "model.layers.1.self_attn.v_proj.bias");
  EXPECT_TRUE(biased.oBias.empty() && biased.qNorm.empty());
  const auto qwen3 = weightsFrom(goldenDir("qwen3_yarn"));
  ASSERT_TRUE(qwen3.ok()) << qwen3.status().toString();
  const LayerWeights& normed = qwen3->layers().front();
  expectTensor(normed.qNorm, "qwen3_yarn", "model.layers.0.self_attn.q_norm.weight");
  expectTensor(normed.kNorm, "qwen3_yarn", "model.layers.0.self_attn.k_norm.weight");
  EXPECT_EQ(normed.kNorm.columns(), 16u);
  EXPECT_TRUE(normed.qBias.empty());

  ModelDir dir("qwen3_yarn");
  dir.editJson("config.json", [](json& config) { config["attention_bias"] = true; });
  expectError(weightsFrom(dir.path()), {"self_attn.q_proj.bias", "missing"});
  dir.editJson("config.json", [](json& config) {
    config["attention_bias"] = false;
    config["architectures"] = {"LlamaForCausalLM"};
  });
  expectError(weightsFrom(dir.path()), {"self_attn.k_norm.weight", "expected none of that name"});
}

TEST(Weights, MoreThanTheMemoryIsRefusedWithTheBytes) {
  const ModelConfig config = *loadModelConfig(goldenDir("tied_group4_bf16"));
  const auto source = openWeights(goldenDir("tied_group4_bf16"));
  ASSERT_TRUE(source.ok());
  uint64_t bytes = 0;  // bf16 as in the file, one-row tensors as f32, panels filled up to 64 rows
  for (const TensorEntry& tensor : (*source)->tensors()) {
    const uint64_t values = tensor.bytes.size() / 2;
    bytes += tensor.shape.size() == 1
                 ? 4 * values
                 : 2 * values / tensor.shape[0] * ((tensor.shape[0] + 63) / 64 * 64);
  }
  EXPECT_EQ(weightBytes(config, **source), bytes);
  EXPECT_TRUE(Weights::load(config, **source, bytes).ok());
  const auto refused = Weights::load(config, **source, bytes - 1);
  expectError(refused, {"model.safetensors", "need 0.0 GiB", std::to_string(bytes) + " bytes",
                        "the machine has"});
  EXPECT_EQ(refused.status().code(), ErrorCode::kResourceExhausted);
}

TEST(Weights, TablesAreFilledByName) {
  const ModelConfig config = *loadModelConfig(goldenDir("tied_group4_bf16"));
  TensorTable table = TensorTable::zeroed(config);
  Matrix* gate = table.find("model.layers.0.mlp.gate_proj.weight");
  ASSERT_NE(gate, nullptr);
  gate->row(3)[5] = 7;
  EXPECT_EQ(table.find("lm_head.weight"), nullptr);
  const Weights weights = Weights::pack(config, table);
  EXPECT_EQ(weights.layers()[0].gate.unpacked().row(3)[5], 7);
  EXPECT_EQ(weights.layers()[1].gate.unpacked().row(3)[5], 0);
}

}  // namespace
}  // namespace spolia::engine
