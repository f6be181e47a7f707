// Streams kept in tests/golden/codec: what was written once must be read for ever. NAME.stream
// decodes to NAME.values; refused_*.stream must be refused. New ones are written by
//   codec_tests --gtest_also_run_disabled_tests --gtest_filter=Golden.DISABLED_Write
// which leaves existing files alone.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/codec/codec_samples.h"

namespace spolia::codec {
namespace {

const std::filesystem::path kDirectory =
    std::filesystem::path(SPOLIA_SOURCE_DIR) / "tests/golden/codec";
constexpr LayerShape kShape{2, 16};
constexpr uint32_t kTokens = 40;
constexpr uint32_t kLayers = 2;

struct Golden {
  const char* name;
  Preset preset;
  ElementType type;
};
constexpr Golden kGoldens[] = {{"lossless_f32", Preset::kLossless, ElementType::kF32},
                               {"lossless_f16", Preset::kLossless, ElementType::kF16},
                               {"lossless_bf16", Preset::kLossless, ElementType::kBf16},
                               {"high_f32", Preset::kHigh, ElementType::kF32}};

Bytes readFile(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in.good()) << path;
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  return toBytes(asBytes(text));
}

void writeOnce(const std::string& file, ByteSpan bytes) {
  const auto path = kDirectory / file;
  if (std::filesystem::exists(path)) return;
  std::ofstream(path, std::ios::binary) << asText(bytes);
}

Bytes sampleStream(const Golden& golden) {
  SampleKv kv(kLayers, kShape, kTokens, golden.type);
  kv.fill(1);
  EncodeOptions options;
  options.preset = golden.preset;
  options.tokenGroup = 32;
  return encodeStream(sampleIdentity(kTokens), kv.layers, kv.view(), options).value();
}

TEST(Golden, StreamsDecodeToRecordedValues) {
  for (const Golden& golden : kGoldens) {
    SCOPED_TRACE(golden.name);
    const Bytes stream = readFile(kDirectory / (std::string(golden.name) + ".stream"));
    SampleKv expected(kLayers, kShape, kTokens, golden.type);
    const Bytes values = readFile(kDirectory / (std::string(golden.name) + ".values"));
    ASSERT_EQ(values.size(), expected.bytes.size());
    expected.bytes = values;
    const auto header = verifyStream(stream);
    ASSERT_TRUE(header.ok()) << header.status().toString();
    SampleKv out(kLayers, kShape, kTokens, golden.type);
    ASSERT_TRUE(decodeStream(stream, *header, {}, out.target()).ok());
    if (golden.preset == Preset::kLossless) {
      EXPECT_EQ(out.bytes, expected.bytes);
    } else {
      // Reconstruction may differ in the last bit between targets.
      for (size_t i = 0; i < out.count(); ++i) ASSERT_FLOAT_EQ(out.get(i), expected.get(i));
    }
  }
}

TEST(Golden, DamagedStreamsAreRefused) {
  int seen = 0;
  for (const auto& file : std::filesystem::directory_iterator(kDirectory)) {
    if (!file.path().filename().string().starts_with("refused_")) continue;
    ++seen;
    EXPECT_FALSE(verifyStream(readFile(file.path())).ok()) << file.path();
  }
  EXPECT_GE(seen, 4);
}

TEST(Golden, DISABLED_Write) {
  std::filesystem::create_directories(kDirectory);
  for (const Golden& golden : kGoldens) {
    const Bytes stream = sampleStream(golden);
    SampleKv out(kLayers, kShape, kTokens, golden.type);
    ASSERT_TRUE(decodeStream(stream, *parseHeader(stream), {}, out.target()).ok());
    writeOnce(std::string(golden.name) + ".stream", stream);
    writeOnce(std::string(golden.name) + ".values", out.bytes);
  }
  Bytes bad = sampleStream(kGoldens[3]);
  writeOnce("refused_truncated.stream", ByteSpan(bad).first(bad.size() - 1));
  bad.back() ^= std::byte{4};
  writeOnce("refused_frame_bit.stream", bad);
  bad = sampleStream(kGoldens[3]);
  bad[40] ^= std::byte{1};
  writeOnce("refused_chunk_id_bit.stream", bad);
  bad = sampleStream(kGoldens[3]);
  bad[8] = std::byte{2};
  writeOnce("refused_newer_version.stream", bad);
  writeOnce("refused_other_file.stream", asBytes("PNG is not a stream of keys and values"));
}

}  // namespace
}  // namespace spolia::codec
