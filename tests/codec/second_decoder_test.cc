// Streams that the codec encodes now, read by the decoder that was written from FORMAT.md alone.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "tests/codec/golden_cases.h"
#include "tests/codec/lossy/random_streams.h"
#include "tests/codec/refused_cases.h"
#include "tests/codec/scaled/any_scaled.h"
#include "tests/support/temporary_directory.h"

namespace spolia::codec {
namespace {

// SPOLIA_SEED repeats a run.
uint64_t freshSeed() {
  if (const char* asked = std::getenv("SPOLIA_SEED")) return std::strtoull(asked, nullptr, 10);
  return std::random_device()();
}

uint32_t upTo(std::mt19937_64& random, uint32_t limit) {
  return static_cast<uint32_t>(1 + random() % limit);
}

GoldenCase randomCase(std::mt19937_64& random) {
  GoldenCase c;
  c.preset = static_cast<Preset>(random() % 4);
  c.levels = c.preset == Preset::kLossless ? 1 : static_cast<uint8_t>(upTo(random, 3));
  if (random() % 3 == 0) c.gain = static_cast<int8_t>(static_cast<int>(random() % 60) - 30);
  c.type = static_cast<ElementType>(random() % 3);
  c.layers.clear();
  for (uint32_t i = upTo(random, 4); i > 0; --i)
    c.layers.push_back({upTo(random, 3), upTo(random, 12)});
  c.tokens = upTo(random, 130);
  c.tokenGroup = upTo(random, 140);
  if (random() % 3 == 0) {
    c.kForm = KForm::kRotated;
    c.firstPosition = static_cast<uint32_t>(random());
  }
  const bool finite = c.preset != Preset::kLossless || random() % 2 == 0;
  if (!finite) c.values = GoldenCase::Values::kBits;
  if (random() % 8 == 0) c.values = GoldenCase::Values::kConstant;
  if (random() % 3 == 0) c.identity = GoldenCase::Identity::kImage;
  c.oneGroup = c.preset <= Preset::kHigh && c.gain == 0 && random() % 3 == 0;
  if (random() % 3 == 0) c.sides = {{upTo(random, 1u << 31), Bytes(random() % 300)}};
  return c;
}

void write(const std::filesystem::path& path, ByteSpan bytes) {
  std::ofstream(path, std::ios::binary) << asText(bytes);
}

void expectSecondDecoderAgrees(const std::filesystem::path& directory) {
  const std::string command = std::string(SPOLIA_PYTHON) + " " + SPOLIA_SOURCE_DIR +
                              "/tests/golden/codec/decode.py --check " + directory.string();
  EXPECT_EQ(std::system(command.c_str()), 0) << command;
}

TEST(SecondDecoder, ReadsWhatTheCodecWritesNow) {
  const uint64_t seed = freshSeed();
  SCOPED_TRACE("SPOLIA_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  test::TemporaryDirectory directory;
  for (int i = 0; i < 40; ++i) {
    const GoldenCase c = randomCase(random);
    GoldenKv kv(c.layers, c.tokens, c.type);
    if (c.values == GoldenCase::Values::kBits) kv.fillBits(random());
    if (c.values == GoldenCase::Values::kLikeKv) kv.fill(random());
    const Result<Bytes> stream = encodeGolden(c, kv);
    ASSERT_TRUE(stream.ok()) << stream.status().toString();
    const auto header = verifyStream(*stream);
    ASSERT_TRUE(header.ok()) << header.status().toString();
    GoldenKv out(c.layers, c.tokens, c.type);
    ASSERT_TRUE(decodeStream(*stream, *header, {}, out.target()).ok());
    if (c.preset == Preset::kLossless) {
      ASSERT_TRUE(out.dense() == kv.dense()) << i;
    }
    write(directory.path() / (std::to_string(i) + ".stream"), *stream);
    write(directory.path() / (std::to_string(i) + ".values"), out.dense());
  }
  for (int i = 0; i < 40; ++i) {
    const Bytes stream = anyScaledStream(random);
    const auto header = verifyStream(stream);
    ASSERT_TRUE(header.ok()) << header.status().toString();
    GoldenKv out(header->layers, header->tokens(), header->elementType);
    const Status status = decodeStream(stream, *header, {}, out.target());
    ASSERT_TRUE(status.ok()) << status.toString();
    write(directory.path() / ("scales" + std::to_string(i) + ".stream"), stream);
    write(directory.path() / ("scales" + std::to_string(i) + ".values"), out.dense());
  }
  expectSecondDecoderAgrees(directory.path());
}

// The codec's own values beside the stream.
void writeDecoded(const std::filesystem::path& path, const Bytes& stream, const Profile& profile) {
  const auto header = verifyStream(stream);
  ASSERT_TRUE(header.ok()) << header.status().toString();
  GoldenKv out(header->layers, header->tokens(), header->elementType);
  const Status status = decodeStream(stream, *header, {}, out.target(), &profile);
  ASSERT_TRUE(status.ok()) << status.toString();
  write(path.string() + ".stream", stream);
  write(path.string() + ".values", out.dense());
}

TEST(SecondDecoder, ReadsLearntTransformsOfAnyProfile) {
  const uint64_t seed = freshSeed();
  SCOPED_TRACE("SPOLIA_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  test::TemporaryDirectory directory;
  for (int i = 0; i < 12; ++i) {
    const ProfileRecipe recipe = randomRecipe(random);
    ProfileData data = madeUpProfileData(recipe);
    const bool wildProfile = i % 3 == 0;
    if (wildProfile) makeWild(data, random);
    const Bytes bytes = writeProfile(data);
    const auto profile = Profile::parse(bytes).value();
    write(directory.path() / (std::to_string(i) + ".profile"), bytes);
    for (int j = 0; j < 3; ++j) {
      const std::string name = std::to_string(i) + "_" + std::to_string(j);
      const GoldenCase c = randomLossyCase(recipe, random);
      GoldenKv kv(c.layers, c.tokens, c.type);
      if (wildProfile) kv.fill(random());
      if (!wildProfile) kv = makeGoldenInput(c, profile.get());
      const Result<Bytes> stream = encodeGolden(c, kv, profile.get());
      ASSERT_TRUE(stream.ok()) << stream.status().toString();
      writeDecoded(directory.path() / name, *stream, *profile);
      const Bytes wild = withAnyFrames(parseHeader(*stream).value(), profile->data(), random);
      writeDecoded(directory.path() / ("wild" + name), wild, *profile);
    }
  }
  expectSecondDecoderAgrees(directory.path());
}

}  // namespace
}  // namespace spolia::codec
