// Tensors under Hugging Face's names, in its order of rows.
#include "engine/gguf/gguf_weights.h"

#include "engine/gguf/gguf_config.h"
#include "engine/kernels/quant_blocks.h"
#include "engine/model/weight_digests.h"
#include "engine/model/weights.h"
#include "tests/engine/gguf/small_model.h"
#include "tests/engine/model/model_dir.h"

namespace spolia::engine {
namespace {

using test::GgufWriter;
using test::smallModel;

struct Opened {
  ModelConfig config;
  std::unique_ptr<WeightSource> source;
};

Result<Opened> open(const std::filesystem::path& path) {
  SPOLIA_ASSIGN_OR_RETURN(GgufParts parts, openGguf(path));
  Opened out;
  SPOLIA_ASSIGN_OR_RETURN(out.config, readGgufConfig(parts.gguf, path.string()));
  SPOLIA_ASSIGN_OR_RETURN(out.source, ggufWeights(std::move(parts), out.config));
  return out;
}

Result<Opened> open(const ModelDir& dir, const GgufWriter& writer) {
  writer.write(dir / "x.gguf");
  return open(dir / "x.gguf");
}

// Weights or the error of either step.
Result<Weights> load(const ModelDir& dir, const GgufWriter& writer) {
  SPOLIA_ASSIGN_OR_RETURN(const Opened opened, open(dir, writer));
  return Weights::load(opened.config, *opened.source);
}

Bytes numbers(size_t count) {
  std::vector<float> values(count);
  for (size_t i = 0; i < count; ++i) values[i] = static_cast<float>(i);
  return toBytes(std::as_bytes(std::span(values)));
}

TEST(GgufWeights, NamesGoBothWays) {
  const std::pair<const char*, const char*> names[] = {
      {"token_embd.weight", "model.embed_tokens.weight"},
      {"output_norm.weight", "model.norm.weight"},
      {"output.weight", "lm_head.weight"},
      {"blk.0.attn_q.bias", "model.layers.0.self_attn.q_proj.bias"},
      {"blk.17.attn_k_norm.weight", "model.layers.17.self_attn.k_norm.weight"},
      {"blk.3.ffn_down.weight", "model.layers.3.mlp.down_proj.weight"},
      {"rope_freqs.weight", "gguf/rope_freqs.weight"},
      {"blk.03.ffn_down.weight", "gguf/blk.03.ffn_down.weight"},
      {"blk..attn_q.weight", "gguf/blk..attn_q.weight"},
      {"blk.1", "gguf/blk.1"},
      {"model.norm.weight", "gguf/model.norm.weight"}};
  for (const auto& [gguf, huggingFace] : names) {
    EXPECT_EQ(huggingFaceName(gguf), huggingFace);
    EXPECT_EQ(ggufName(huggingFace), gguf);
  }
}

TEST(GgufWeights, RowsOfQAndKAreUnderTheirChannels) {
  ModelDir dir;
  GgufWriter writer = smallModel();
  writer.removeTensor("blk.0.attn_q.weight").removeTensor("blk.0.attn_v.weight");
  // Two heads of 4 channels: in the file 0, 2, 1, 3 of each.
  writer.tensor("blk.0.attn_q.weight", 0, {8, 8}, numbers(64));
  writer.tensor("blk.0.attn_q.bias", 0, {8}, numbers(8));
  writer.tensor("blk.0.attn_k.bias", 0, {4}, numbers(4));
  writer.tensor("blk.0.attn_v.bias", 0, {4}, numbers(4));
  writer.tensor("blk.0.attn_v.weight", 0, {8, 4}, numbers(32));
  const auto weights = load(dir, writer);
  ASSERT_TRUE(weights.ok()) << weights.status().toString();
  const LayerWeights& layer = weights->layers()[0];
  const Matrix q = layer.q.unpacked(), v = layer.v.unpacked();
  constexpr size_t kOrder[] = {0, 2, 1, 3, 4, 6, 5, 7};
  for (size_t r = 0; r < 8; ++r) {
    EXPECT_EQ(q.at(r, 3), static_cast<float>(8 * kOrder[r] + 3)) << r;
    EXPECT_EQ(layer.qBias.at(0, r), static_cast<float>(kOrder[r])) << r;
  }
  for (size_t r = 0; r < 4; ++r) {
    EXPECT_EQ(layer.kBias.at(0, r), static_cast<float>(kOrder[r]));
    EXPECT_EQ(layer.vBias.at(0, r), static_cast<float>(r));
    EXPECT_EQ(v.at(r, 0), static_cast<float>(8 * r));
  }
}

TEST(GgufWeights, RowsOfQwenStandInOrder) {
  ModelDir dir;
  GgufWriter writer = smallModel("qwen2");
  writer.removeTensor("blk.0.attn_q.weight").tensor("blk.0.attn_q.weight", 0, {8, 8}, numbers(64));
  const auto weights = load(dir, writer);
  ASSERT_TRUE(weights.ok()) << weights.status().toString();
  const Matrix q = weights->layers()[0].q.unpacked();
  for (size_t r = 0; r < 8; ++r) EXPECT_EQ(q.at(r, 0), 8.0f * r);
}

// Whole rows of blocks change places.
TEST(GgufWeights, RowsOfBlocksToo) {
  TensorEntry entry;
  entry.type = TensorType::kQ8_0;
  entry.shape = {8, 64};
  entry.interleavedHeads = 2;
  Bytes bytes(8 * 68);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = std::byte(i / 68);
  entry.bytes = bytes;
  constexpr uint8_t kOrder[] = {0, 2, 1, 3, 4, 6, 5, 7};
  for (uint64_t r = 0; r < 8; ++r) {
    ASSERT_EQ(entry.row(r).size(), 68u);
    EXPECT_EQ(entry.row(r)[0], std::byte{kOrder[r]});
    EXPECT_EQ(entry.row(r)[67], std::byte{kOrder[r]});
  }
}

TEST(GgufWeights, ErrorsNameTheTensorAsTheFileDoes) {
  ModelDir dir;
  expectError(load(dir, smallModel().removeTensor("blk.0.attn_q.weight")),
              {"x.gguf: tensor \"blk.0.attn_q.weight\" is missing", "[8, 8]"});
  GgufWriter shape = smallModel();
  shape.removeTensor("blk.0.ffn_down.weight")
      .tensor("blk.0.ffn_down.weight", 0, {8, 16}, Bytes(512));
  expectError(load(dir, shape), {"tensor \"blk.0.ffn_down.weight\" has shape [16, 8]", "[8, 16]"});
  GgufWriter bias = smallModel();
  expectError(load(dir, bias.tensor("blk.0.ffn_up.bias", 0, {16}, Bytes(64))),
              {"tensor \"blk.0.ffn_up.bias\", expected none"});
  GgufWriter norm = smallModel();
  expectError(load(dir, norm.tensor("blk.0.attn_q_norm.weight", 0, {4}, Bytes(16))),
              {"tensor \"blk.0.attn_q_norm.weight\", expected none"});
  GgufWriter unknown = smallModel();
  EXPECT_TRUE(load(dir, unknown.tensor("something.else", 0, {4}, Bytes(16))).ok());
}

TEST(GgufWeights, SplitFilesAreOneModel) {
  ModelDir dir;
  const GgufWriter whole = smallModel();
  GgufWriter first = smallModel(), second;
  first.removeTensor("output_norm.weight").removeTensor("blk.0.ffn_down.weight");
  second.tensor("output_norm.weight", 0, {8}, numbers(8));
  second.tensor("blk.0.ffn_down.weight", 0, {16, 8}, numbers(128));
  const auto mark = [](GgufWriter& writer, uint32_t number) {
    writer.add("split.no", number).add("split.count", 2u).add("split.tensors.count", 11u);
  };
  mark(first, 0), mark(second, 1);
  const auto firstPath = dir / "m-00001-of-00002.gguf", secondPath = dir / "m-00002-of-00002.gguf";
  first.write(firstPath);
  expectError(open(firstPath), {secondPath.string(), "does not exist"});
  second.write(secondPath);
  const auto opened = open(firstPath);
  ASSERT_TRUE(opened.ok()) << opened.status().toString();
  EXPECT_EQ(opened->source->files().size(), 2u);
  const auto weights = Weights::load(opened->config, *opened->source);
  ASSERT_TRUE(weights.ok()) << weights.status().toString();
  EXPECT_EQ(weights->finalNorm().at(0, 7), 7.0f);

  expectError(open(secondPath), {"it is part 2 of 2", firstPath.string()});
  first.write(dir / "other.gguf");
  expectError(open(dir / "other.gguf"), {"-00001-of-00002.gguf"});
  second.set("split.no", 0u).write(secondPath);
  expectError(open(firstPath), {secondPath.string() + ": split.no is 0", "expected 1"});
  second.set("split.no", 1u).tensor("blk.0.attn_q.weight", 0, {8, 8}, Bytes(256)).write(secondPath);
  expectError(open(firstPath), {"split.tensors.count is 11", "12"});
  first.set("split.tensors.count", 12u).write(firstPath);
  expectError(open(firstPath), {"blk.0.attn_q.weight", "an earlier part"});
}

}  // namespace
}  // namespace spolia::engine
