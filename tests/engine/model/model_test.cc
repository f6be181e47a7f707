#include "engine/model/model.h"

#include <chrono>

#include "tests/engine/model/model_dir.h"

namespace spolia::engine {
namespace {

using nlohmann::json;

ModelLoadOptions noCache() {
  return {.digestCache = std::nullopt};
}

Result<std::unique_ptr<Model>> loadFrom(const std::filesystem::path& directory) {
  return Model::load(directory, noCache());
}

void makeOld(const std::filesystem::path& file) {
  std::filesystem::last_write_time(file,
                                   std::filesystem::last_write_time(file) - std::chrono::hours(1));
}

TEST(Model, LoadsAWholeDirectory) {
  const auto model = loadFrom(goldenDir("tied_group4_bf16"));
  ASSERT_TRUE(model.ok()) << model.status().toString();
  EXPECT_EQ((*model)->kvShape(), (std::vector<codec::LayerShape>(2, {1, 32})));
  ASSERT_TRUE((*model)->hasTokenizer());
  EXPECT_EQ((*model)->tokenizer().decode(*(*model)->tokenizer().encode("the and")), "the and");
  EXPECT_EQ((*model)->descriptor().numerics, "f32");
  EXPECT_FALSE((*model)->fingerprint().isZero());
  EXPECT_EQ((*model)->fingerprint(), codec::fingerprintOf((*model)->descriptor()));
}

TEST(Model, TakesATokenizerModelWhereNoJsonIs) {
  ModelDir dir("tied_group4_bf16");
  // Two pieces, "<unk>" and "x", of type BPE and without normalisation.
  const std::string unknown("\x0a\x09\x0a\x05<unk>\x18\x02", 11);
  const std::string piece("\x0a\x03\x0a\x01x", 5);
  const std::string specs("\x12\x02\x18\x02\x1a\x02\x20\x00", 8);
  dir.write("tokenizer.model", unknown + piece + specs);
  const auto both = loadFrom(dir.path());
  ASSERT_TRUE(both.ok()) << both.status().toString();
  EXPECT_GT((*both)->tokenizer().vocabSize(), 2u) << "tokenizer.json goes first";

  std::filesystem::remove(dir / "tokenizer.json");
  const auto model = loadFrom(dir.path());
  ASSERT_TRUE(model.ok()) << model.status().toString();
  EXPECT_EQ((*model)->tokenizer().vocabSize(), 2u);
  EXPECT_EQ((*model)->tokenizer().find("x"), 1u);
  EXPECT_NE((*model)->descriptor().tokenizer, (*both)->descriptor().tokenizer);

  dir.write("tokenizer.model", unknown + piece + specs.substr(0, 4));
  expectError(loadFrom(dir.path()), {"tokenizer.model", "remove_extra_whitespaces"});
  std::filesystem::remove(dir / "tokenizer.model");
  expectError(loadFrom(dir.path()), {"tokenizer.json does not exist"});
}

TEST(Model, LoadsTheModelOfTheTree) {
  const auto dir = std::filesystem::path(SPOLIA_SOURCE_DIR) / "engine/models/micro";
  ASSERT_TRUE(std::filesystem::exists(dir / "model.safetensors"));
  const auto model = loadFrom(dir);
  ASSERT_TRUE(model.ok()) << model.status().toString();
  EXPECT_EQ((*model)->weights().layers().size(), (*model)->config().layers);
}

TEST(Model, EachPartChangesTheFingerprintInItsField) {
  const auto base = loadFrom(goldenDir("tied_group4_bf16"));
  ASSERT_TRUE(base.ok());
  auto changed = [&](const std::function<void(const ModelDir&)>& edit) {
    ModelDir dir("tied_group4_bf16");
    edit(dir);
    const auto model = loadFrom(dir.path());
    EXPECT_TRUE(model.ok()) << model.status().toString();
    return (*model)->descriptor();
  };
  codec::ModelDescriptor expected = (*base)->descriptor();
  EXPECT_EQ(changed([](const ModelDir&) {}), expected);
  // What does not touch KV changes nothing.
  EXPECT_EQ(changed([](const ModelDir& dir) {
              dir.editJson("config.json", [](json& j) { j["max_position_embeddings"] = 99; });
            }),
            expected);

  auto d = changed([](const ModelDir& dir) {
    std::string bytes = dir.read("model.safetensors");
    bytes.back() = static_cast<char>(bytes.back() ^ 1);
    dir.write("model.safetensors", bytes);
  });
  EXPECT_NE(d.weights, expected.weights);
  d.weights = expected.weights;
  EXPECT_EQ(d, expected);

  d = changed([](const ModelDir& dir) {
    dir.editJson("config.json", [](json& j) { j["rope_theta"] = 20000.0; });
  });
  EXPECT_NE(d.rope, expected.rope);
  d.rope = expected.rope;
  EXPECT_EQ(d, expected);

  d = changed([](const ModelDir& dir) {
    dir.editJson("config.json", [](json& j) { j["rms_norm_eps"] = 1e-3; });
  });
  EXPECT_NE(d.config, expected.config);
  d.config = expected.config;
  EXPECT_EQ(d, expected);

  d = changed(
      [](const ModelDir& dir) { dir.write("tokenizer.json", dir.read("tokenizer.json") + " "); });
  EXPECT_NE(d.tokenizer, expected.tokenizer);
  d.tokenizer = expected.tokenizer;
  EXPECT_EQ(d, expected);
}

// The same tensors in one file and in two are the same model.
TEST(Model, ShardsDoNotChangeTheFingerprint) {
  ModelDir dir("untied_group1_f32_shards");
  const auto sharded = loadFrom(dir.path());
  ASSERT_TRUE(sharded.ok());
  json header;
  std::string data;
  for (const char* name :
       {"model-00002-of-00002.safetensors", "model-00001-of-00002.safetensors"}) {
    const std::string bytes = dir.read(name);
    uint64_t length = 0;
    std::memcpy(&length, bytes.data(), sizeof length);
    const json shard = json::parse(bytes.substr(8, length));
    for (const auto& [tensor, entry] : shard.items()) {
      if (tensor == "__metadata__") continue;
      header[tensor] = entry;
      for (auto& offset : header[tensor]["data_offsets"]) {
        offset = offset.get<uint64_t>() + data.size();
      }
    }
    data += bytes.substr(8 + length);
    std::filesystem::remove(dir / name);
  }
  std::filesystem::remove(dir / "model.safetensors.index.json");
  const std::string text = header.dump();
  const uint64_t length = text.size();
  dir.write("model.safetensors",
            std::string(reinterpret_cast<const char*>(&length), 8) + text + data);
  const auto single = loadFrom(dir.path());
  ASSERT_TRUE(single.ok()) << single.status().toString();
  EXPECT_EQ((*single)->fingerprint(), (*sharded)->fingerprint());
}

TEST(Model, InMemoryEqualsItsFileInF32) {
  const auto loaded = loadFrom(goldenDir("untied_group1_f32_shards"));
  ASSERT_TRUE(loaded.ok());
  const ModelConfig& config = (*loaded)->config();
  const auto source = openWeights(goldenDir("untied_group1_f32_shards"));
  ASSERT_TRUE(source.ok());
  TensorTable tensors = TensorTable::zeroed(config);
  for (const TensorSpec& spec : tensorSpecs(config)) {
    const ByteSpan bytes = (*source)->find(spec.name)->bytes;
    std::memcpy(tensors.find(spec.name)->data(), bytes.data(), bytes.size());
  }
  const auto made = Model::make(config, tensors);
  EXPECT_FALSE(made->hasTokenizer());
  EXPECT_EQ(made->descriptor().weights, (*loaded)->descriptor().weights);
  EXPECT_EQ(made->descriptor().config, (*loaded)->descriptor().config);
}

TEST(Model, DigestsAreKeptBetweenRunsUntilTheFileChanges) {
  ModelDir dir("tied_group4_bf16");
  const ModelLoadOptions options = {.digestCache = dir / "cache/spolia/digests.json"};
  const std::filesystem::path weights = dir / "model.safetensors";
  makeOld(weights);
  const auto first = Model::load(dir.path(), options);
  ASSERT_TRUE(first.ok()) << first.status().toString();
  ASSERT_TRUE(std::filesystem::exists(*options.digestCache));

  // A planted digest proves that the cache is read, and read only while the file is the same.
  const std::string tensor = "model.norm.weight";
  const std::string planted(64, 'a');
  dir.editJson("cache/spolia/digests.json", [&](json& cache) {
    for (auto& file : cache["files"]) file["tensors"][tensor] = planted;
  });
  EXPECT_NE((*Model::load(dir.path(), options))->fingerprint(), (*first)->fingerprint());
  makeOld(weights);
  EXPECT_EQ((*Model::load(dir.path(), options))->fingerprint(), (*first)->fingerprint());
  EXPECT_EQ(dir.read("cache/spolia/digests.json").find(planted), std::string::npos);
}

TEST(Model, AFreshFileIsNotNoted) {
  ModelDir dir("tied_group4_bf16");
  const ModelLoadOptions options = {.digestCache = dir / "digests.json"};
  std::filesystem::last_write_time(dir / "model.safetensors",
                                   std::filesystem::file_time_type::clock::now());
  ASSERT_TRUE(Model::load(dir.path(), options).ok());
  EXPECT_FALSE(std::filesystem::exists(*options.digestCache));
}

TEST(Model, ABrokenOrUnwritableCacheChangesNothing) {
  ModelDir dir("tied_group4_bf16");
  makeOld(dir / "model.safetensors");
  const auto plain = loadFrom(dir.path());
  ASSERT_TRUE(plain.ok());
  for (const char* broken : {"", "{", "[]", R"({"version": 1, "files": 3})", "{\"version\": 9}",
                             R"({"version": 1, "files": {"x": null}})"}) {
    dir.write("digests.json", broken);
    const auto model = Model::load(dir.path(), {.digestCache = dir / "digests.json"});
    ASSERT_TRUE(model.ok()) << broken;
    EXPECT_EQ((*model)->fingerprint(), (*plain)->fingerprint());
    EXPECT_TRUE(json::accept(dir.read("digests.json"))) << "replaced by a good one";
  }
  const auto nowhere = Model::load(dir.path(), {.digestCache = "/proc/none/digests.json"});
  ASSERT_TRUE(nowhere.ok());
  EXPECT_EQ((*nowhere)->fingerprint(), (*plain)->fingerprint());
}

TEST(Model, LoadsEveryFamily) {
  for (const char* name :
       {"mistral_window", "qwen2_dynamic", "qwen3_yarn", "llama3_biases", "llama_linear"}) {
    const auto model = loadFrom(goldenDir(name));
    EXPECT_TRUE(model.ok()) << model.status().toString();
  }
}

TEST(Model, WhatTheMachineHasBoundsTheWeights) {
  EXPECT_GT(machineMemory(), 1u << 20);
  ModelLoadOptions options = noCache();
  options.memoryLimit = 1000;
  const auto model = Model::load(goldenDir("tied_group4_bf16"), options);
  EXPECT_EQ(model.status().code(), ErrorCode::kResourceExhausted);
}

TEST(Model, MissingPartsAreNamed) {
  expectError(loadFrom("/no/such/model"), {"/no/such/model", "is no directory", "config.json"});
  for (const char* name : {"config.json", "tokenizer.json", "model.safetensors"}) {
    ModelDir dir("tied_group4_bf16");
    std::filesystem::remove(dir / name);
    const auto model = loadFrom(dir.path());
    expectError(model, {(dir / name).string(), "does not exist"});
    EXPECT_EQ(model.status().code(), ErrorCode::kNotFound);
  }
}

TEST(Model, ATokenizerTooLargeForTheEmbeddingIsRefused) {
  ModelDir dir("tied_group4_bf16");
  dir.editJson("tokenizer.json", [](json& j) {
    j["added_tokens"].push_back({{"id", 500}, {"content", "<|late|>"}});
  });
  expectError(loadFrom(dir.path()),
              {(dir / "tokenizer.json").string(), "500", "vocab_size 272", "config.json"});
}

}  // namespace
}  // namespace spolia::engine
