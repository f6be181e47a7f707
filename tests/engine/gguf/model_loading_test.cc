// A model is the same in either container.
#include "engine/gguf/model_loading.h"

#include "engine/gguf/gguf_weights.h"
#include "tests/engine/gguf/small_model.h"
#include "tests/engine/model/model_dir.h"

namespace spolia::engine {
namespace {

using test::GgufWriter;
using test::smallModel;

const ModelLoadOptions kNoCache = {.digestCache = std::nullopt};

// The tensors of a directory in F32, as llama.cpp has them: rows of q and k interleaved.
void addTensors(const WeightSource& source, const ModelConfig& config, GgufWriter& out) {
  for (const TensorEntry& entry : source.tensors()) {
    ASSERT_EQ(entry.type, TensorType::kF32);
    const bool query = entry.name.find(".q_proj.") != std::string::npos;
    const bool key = entry.name.find(".k_proj.") != std::string::npos;
    Bytes bytes = toBytes(entry.bytes);
    if (query || key) {
      const size_t heads = query ? config.heads : config.kvHeads;
      const size_t channels = entry.shape[0] / heads, row = bytes.size() / entry.shape[0];
      for (size_t r = 0; r < entry.shape[0]; ++r) {
        const size_t head = r / channels, c = r % channels;
        const size_t to = head * channels + c % (channels / 2) * 2 + c / (channels / 2);
        std::copy_n(entry.bytes.begin() + r * row, row, bytes.begin() + to * row);
      }
    }
    out.tensor(ggufName(entry.name), 0, {entry.shape.rbegin(), entry.shape.rend()}, bytes);
  }
}

GgufWriter keysOf(const ModelConfig& config, const std::filesystem::path& tokenizer) {
  GgufWriter out;
  out.add("general.architecture", "llama");
  const auto add = [&](const char* key, uint32_t value) {
    out.add(std::string("llama.") + key, value);
  };
  add("block_count", config.layers);
  add("embedding_length", config.hiddenSize);
  add("feed_forward_length", config.ffnSize);
  add("context_length", config.maxPositions);
  add("attention.head_count", config.heads);
  add("attention.head_count_kv", config.kvHeads);
  add("attention.key_length", config.headDim);
  out.add("llama.attention.layer_norm_rms_epsilon", config.rmsEps);
  out.add("llama.rope.freq_base", config.ropeTheta);
  const auto document = nlohmann::json::parse(readAll(tokenizer));
  std::vector<std::string> tokens(config.vocabSize), merges;
  std::vector<int32_t> types(config.vocabSize, 1);
  for (const auto& [token, id] : document["model"]["vocab"].items()) tokens[id] = token;
  for (const auto& added : document["added_tokens"]) types[added["id"].get<size_t>()] = 3;
  for (const auto& merge : document["model"]["merges"]) merges.push_back(merge);
  out.add("tokenizer.ggml.model", "gpt2").add("tokenizer.ggml.pre", "gpt-2");
  out.add("tokenizer.ggml.tokens", tokens).add("tokenizer.ggml.token_type", types);
  out.add("tokenizer.ggml.merges", merges);
  out.add("tokenizer.ggml.bos_token_id", config.bosToken);
  return out.add("tokenizer.ggml.eos_token_id", config.eosTokens[0]);
}

TEST(ModelLoading, TheSameModelInEitherContainer) {
  const auto directory = goldenDir("untied_group1_f32_shards");
  const auto expected = loadModel(directory, kNoCache);
  ASSERT_TRUE(expected.ok()) << expected.status().toString();
  const ModelConfig& config = (*expected)->config();
  ModelDir dir;
  GgufWriter writer = keysOf(config, directory / "tokenizer.json");
  addTensors(**openWeights(directory), config, writer);
  writer.add("tokenizer.chat_template", "{{ messages }}").write(dir / "m.gguf");
  const auto found = loadModel(dir / "m.gguf", kNoCache);
  ASSERT_TRUE(found.ok()) << found.status().toString();
  EXPECT_EQ((*found)->config(), config);
  EXPECT_EQ((*found)->descriptor().weights, (*expected)->descriptor().weights);
  EXPECT_EQ((*found)->descriptor().config, (*expected)->descriptor().config);
  EXPECT_EQ((*found)->descriptor().rope, (*expected)->descriptor().rope);
  for (size_t i = 0; i < config.layers; ++i) {
    const Matrix a = (*found)->weights().layers()[i].q.unpacked();
    const Matrix b = (*expected)->weights().layers()[i].q.unpacked();
    EXPECT_EQ(std::memcmp(a.data(), b.data(), a.rows() * a.columns() * sizeof(float)), 0);
  }
  EXPECT_EQ(*(*found)->tokenizer().encode("the and <|eos|> in"),
            *(*expected)->tokenizer().encode("the and <|eos|> in"));
  EXPECT_EQ((*found)->chatTemplate(), "{{ messages }}");
}

TEST(ModelLoading, DigestsAreKeptByFile) {
  ModelDir dir;
  smallModel().write(dir / "m.gguf");
  std::filesystem::last_write_time(
      dir / "m.gguf", std::filesystem::last_write_time(dir / "m.gguf") - std::chrono::hours(1));
  const ModelLoadOptions options = {.digestCache = dir / "digests.json"};
  const auto first = loadModel(dir / "m.gguf", options);
  ASSERT_TRUE(first.ok()) << first.status().toString();
  EXPECT_NE(readAll(dir / "digests.json").find("m.gguf"), std::string::npos);
  EXPECT_EQ((*loadModel(dir / "m.gguf", options))->fingerprint(), (*first)->fingerprint());
  EXPECT_EQ((*loadModel(dir / "m.gguf", kNoCache))->fingerprint(), (*first)->fingerprint());
}

TEST(ModelLoading, Refusals) {
  ModelDir dir;
  expectError(loadModel(dir / "none.gguf", kNoCache),
              {"none.gguf does not exist", "config.json", "or a GGUF file"});
  dir.write("model.safetensors", "12345678{}");
  expectError(loadModel(dir / "model.safetensors", kNoCache),
              {"model.safetensors: expected a GGUF file"});
  smallModel().write(dir / "m.gguf");
  const auto small = loadModel(dir / "m.gguf", {.digestCache = std::nullopt, .memoryLimit = 1000});
  EXPECT_EQ(small.status().code(), ErrorCode::kResourceExhausted);
  expectError(small, {"m.gguf: the weights need", "bytes), the machine has"});
  GgufWriter fewRows = smallModel();
  fewRows.add("llama.vocab_size", 4u).set("tokenizer.ggml.eos_token_id", 3u).write(dir / "m.gguf");
  expectError(loadModel(dir / "m.gguf", kNoCache), {"m.gguf: the largest id is 4"});
  GgufWriter spelled = smallModel();
  spelled.add("tokenizer.chat_template", 3u).write(dir / "m.gguf");
  expectError(loadModel(dir / "m.gguf", kNoCache), {"tokenizer.chat_template is 3"});
}

TEST(ModelLoading, NamesOfModels) {
  EXPECT_EQ(modelNameOf("/models/Qwen2"), "Qwen2");
  EXPECT_EQ(modelNameOf("/models/Qwen2/"), "Qwen2");
  EXPECT_EQ(modelNameOf("/models/Qwen2.5-q8_0.gguf"), "Qwen2.5-q8_0");
}

}  // namespace
}  // namespace spolia::engine
