#include "engine/model/weight_file.h"

#include <random>

#include "engine/model/weights.h"
#include "tests/engine/model/model_dir.h"

namespace spolia::engine {
namespace {

using nlohmann::json;

std::string fileOf(const std::string& header, size_t dataBytes) {
  const uint64_t length = header.size();
  std::string out(reinterpret_cast<const char*>(&length), sizeof length);
  out += header;
  for (size_t i = 0; i < dataBytes; ++i) out += static_cast<char>(i);
  return out;
}

Result<std::vector<TensorEntry>> headerOf(const std::string& file) {
  return parseSafetensors(asBytes(file), "w.safetensors");
}

json entry(const char* type, json shape, uint64_t begin, uint64_t end) {
  return {{"dtype", type}, {"shape", std::move(shape)}, {"data_offsets", {begin, end}}};
}

TEST(Safetensors, GivesTensorsByNameWithTheirBytes) {
  json header = {{"__metadata__", {{"format", "pt"}}},
                 {"b", entry("F32", {2, 1}, 0, 8)},
                 {"a", entry("BF16", {3}, 8, 14)},
                 {"scalar", entry("U8", json::array(), 14, 15)},
                 {"empty", entry("F32", {0, 4}, 8, 8)}};
  const std::string file = fileOf(header.dump() + "   ", 15);
  const auto tensors = headerOf(file);
  ASSERT_TRUE(tensors.ok()) << tensors.status().toString();
  ASSERT_EQ(tensors->size(), 4u);
  EXPECT_EQ((*tensors)[0].name, "a");
  EXPECT_EQ((*tensors)[0].type, TensorType::kBf16);
  EXPECT_EQ((*tensors)[0].shape, (std::vector<uint64_t>{3}));
  EXPECT_EQ(asText((*tensors)[0].bytes), std::string("\x08\x09\x0a\x0b\x0c\x0d"));
  EXPECT_EQ((*tensors)[1].bytes.size(), 8u);
  EXPECT_TRUE((*tensors)[2].bytes.empty());
  EXPECT_EQ((*tensors)[3].shape.size(), 0u);
}

TEST(Safetensors, RefusesWhatDoesNotFitExactly) {
  const uint64_t huge = uint64_t{1} << 62;
  const std::tuple<const char*, json, size_t, const char*> cases[] = {
      {"beyond the end", {{"t", entry("F32", {2}, 0, 8)}}, 7, "truncated"},
      {"backwards", {{"t", entry("F32", {2}, 8, 0)}}, 8, "data_offsets"},
      {"overlap", {{"s", entry("F32", {2}, 0, 8)}, {"t", entry("F32", {2}, 4, 12)}}, 12, "overlap"},
      {"hole", {{"s", entry("F32", {1}, 0, 4)}, {"t", entry("F32", {1}, 8, 12)}}, 12, "hole"},
      {"hole in front", {{"t", entry("F32", {1}, 4, 8)}}, 8, "hole"},
      {"rest", {{"t", entry("F32", {1}, 0, 4)}}, 8, "end"},
      {"length", {{"t", entry("F32", {3}, 0, 8)}}, 8, "F32 [3]"},
      {"product overflows", {{"t", entry("F32", {huge, 4}, 0, 0)}}, 0, "has 0 bytes"},
      {"type", {{"t", entry("Q4", {2}, 0, 8)}}, 8, "known element type"},
      {"negative", {{"t", entry("F32", {-2}, 0, 8)}}, 8, "shape"},
      {"fraction", {{"t", entry("F32", {2.0}, 0, 8)}}, 8, "shape"},
      {"rank", {{"t", entry("U8", {1, 1, 1, 1, 1, 1, 1, 1, 1}, 0, 1)}}, 1, "shape"},
      {"no object", {{"t", 5}}, 0, "an object"},
      {"no shape", {{"t", {{"dtype", "F32"}, {"data_offsets", {0, 4}}}}}, 4, "shape"},
  };
  for (const auto& [what, header, bytes, expected] : cases) {
    SCOPED_TRACE(what);
    const auto tensors = headerOf(fileOf(header.dump(), bytes));
    expectError(tensors, {"w.safetensors", expected});
    EXPECT_EQ(tensors.status().code(), ErrorCode::kCorrupt);
  }
}

TEST(Safetensors, RefusesBrokenHeaders) {
  expectError(headerOf(""), {"w.safetensors", "8 bytes"});
  expectError(headerOf("1234567"), {"w.safetensors", "8 bytes"});
  expectError(headerOf(fileOf("{}", 0).substr(0, 9)), {"the header is declared as 2 bytes"});
  expectError(headerOf(std::string(8, '\xff') + "{}"), {"the header is declared as"});
  expectError(headerOf(fileOf("[]", 0)), {"begins with '{'"});
  expectError(headerOf(fileOf(" {}", 0)), {"begins with '{'"});
  expectError(headerOf(fileOf("{\"a\":", 0)), {"expected JSON"});
  expectError(headerOf(fileOf("{\"a\":1,\"a\":2}", 0)), {"twice"});
  EXPECT_TRUE(headerOf(fileOf("{}", 0)).ok());
}

TEST(OpenWeights, FindsOneFileAndShards) {
  const auto one = openWeights(goldenDir("tied_group4_bf16"));
  ASSERT_TRUE(one.ok()) << one.status().toString();
  EXPECT_EQ((*one)->files().size(), 1u);
  const auto shards = openWeights(goldenDir("untied_group1_f32_shards"));
  ASSERT_TRUE(shards.ok()) << shards.status().toString();
  EXPECT_EQ((*shards)->files().size(), 2u);
  EXPECT_EQ((*shards)->tensors().size(), 3u + 3 * 9);
  const TensorEntry* head = (*shards)->find("lm_head.weight");
  ASSERT_NE(head, nullptr);
  EXPECT_EQ(head->file, 1u);
  EXPECT_EQ((*shards)->find("lm_head.weigh"), nullptr);
}

TEST(OpenWeights, NamesAMissingFile) {
  ModelDir dir;
  const auto source = openWeights(dir.path());
  expectError(source, {(dir / "model.safetensors").string(), "does not exist", "index.json"});
  EXPECT_EQ(source.status().code(), ErrorCode::kNotFound);
}

TEST(OpenWeights, NamesAMissingShard) {
  ModelDir dir("untied_group1_f32_shards");
  std::filesystem::remove(dir / "model-00002-of-00002.safetensors");
  const auto source = openWeights(dir.path());
  expectError(source, {(dir / "model-00002-of-00002.safetensors").string(), "does not exist",
                       "index.json names"});
  EXPECT_EQ(source.status().code(), ErrorCode::kNotFound);
}

TEST(OpenWeights, NamesATruncatedFile) {
  ModelDir dir("tied_group4_bf16");
  const std::string bytes = dir.read("model.safetensors");
  for (const size_t keep :
       {bytes.size() - 1, bytes.size() / 2, size_t{100}, size_t{8}, size_t{0}}) {
    dir.write("model.safetensors", bytes.substr(0, keep));
    const auto source = openWeights(dir.path());
    expectError(source, {(dir / "model.safetensors").string(), "expected"});
    EXPECT_EQ(source.status().code(), ErrorCode::kCorrupt);
  }
}

TEST(OpenWeights, ShardsHoldWhatTheIndexPromisesOnce) {
  const std::string index = "model.safetensors.index.json";
  ModelDir dir("untied_group1_f32_shards");
  const std::string good = dir.read(index);
  dir.editJson(index,
               [](json& j) { j["weight_map"]["extra"] = "model-00001-of-00002.safetensors"; });
  expectError(openWeights(dir.path()), {"00001-of-00002", "\"extra\"", "missing"});
  dir.write(index, good);
  std::filesystem::copy_file(dir / "model-00001-of-00002.safetensors",
                             dir / "model-00002-of-00002.safetensors",
                             std::filesystem::copy_options::overwrite_existing);
  dir.editJson(index, [](json& j) {
    j["weight_map"] = {
        {"model.embed_tokens.weight", "model-00001-of-00002.safetensors"},
        {"model.layers.0.input_layernorm.weight", "model-00002-of-00002.safetensors"}};
  });
  expectError(openWeights(dir.path()), {"stands in", "too"});
}

TEST(OpenWeights, AnIndexStaysInItsDirectory) {
  ModelDir dir("untied_group1_f32_shards");
  for (const char* shard : {"../x.safetensors", "/etc/passwd", "a/b.safetensors", "x.bin", ""}) {
    dir.editJson("model.safetensors.index.json",
                 [&](json& j) { j["weight_map"]["lm_head.weight"] = shard; });
    expectError(openWeights(dir.path()), {"index.json", "weight_map[\"lm_head.weight\"]"});
  }
  dir.write("model.safetensors.index.json", "{}");
  expectError(openWeights(dir.path()), {"index.json", "weight_map"});
}

// Damaged files give tensors that lie inside the file, or an error; never anything else.
TEST(Safetensors, SurvivesMutations) {
  const unsigned seed = 20240601;
  std::mt19937 random(seed);
  SCOPED_TRACE("seed " + std::to_string(seed));
  const std::string good = readAll(goldenDir("tied_group4_bf16") / "model.safetensors");
  uint64_t length = 0;
  std::memcpy(&length, good.data(), sizeof length);
  constexpr std::string_view kBytes = "{}[]\",:0123456789.-eE\\u\xff";
  int accepted = 0;
  for (int round = 0; round < 4000; ++round) {
    // Little data behind the header, or all of it: offsets are wrong, or right.
    std::string file = good.substr(0, round % 2 ? good.size() : 8 + length + random() % 64);
    for (unsigned edits = 1 + random() % 4; edits > 0; --edits) {
      const size_t at = random() % (8 + length);
      switch (random() % 4) {
        case 0:
          file[at] = static_cast<char>(random());
          break;
        case 1:
          file[at] = kBytes[random() % kBytes.size()];
          break;
        case 2:
          file.erase(at, 1 + random() % 8);
          break;
        default:
          file.insert(at, 1 + random() % 3, kBytes[random() % kBytes.size()]);
      }
    }
    const auto tensors = headerOf(file);
    if (!tensors.ok()) {
      EXPECT_EQ(tensors.status().code(), ErrorCode::kCorrupt);
      EXPECT_NE(tensors.status().message().find("w.safetensors"), std::string::npos);
      continue;
    }
    ++accepted;
    for (const TensorEntry& tensor : *tensors) {
      const auto begin = reinterpret_cast<const char*>(tensor.bytes.data());
      ASSERT_GE(begin, file.data());
      ASSERT_LE(begin + tensor.bytes.size(), file.data() + file.size());
    }
  }
  EXPECT_GT(accepted, 0);
}

}  // namespace
}  // namespace spolia::engine
