#include "engine/linker/manifest.h"

#include <gtest/gtest.h>

#include <cstring>

#include "codec/base/checksum.h"

namespace spolia::engine {
namespace {

Manifest sample() {
  Manifest out;
  out.name = "notes/a.md";
  out.chunkTokens = 128;
  out.preset = codec::Preset::kLossless;
  out.chunks = {{ChunkId{{std::byte{1}}}, 7, "One. "},
                {ChunkId{{std::byte{2}}}, 5, "Zw\xC3\xB6lf."}};
  out.version = documentVersion(out.text(), out.chunkTokens);
  return out;
}

TEST(Manifest, RoundTrips) {
  const Manifest manifest = sample();
  const auto back = parseManifest(serializeManifest(manifest));
  ASSERT_TRUE(back.ok()) << back.status().toString();
  EXPECT_EQ(*back, manifest);
  EXPECT_EQ(back->text(), "One. Zw\xC3\xB6lf.");
  EXPECT_EQ(back->tokens(), 12u);
}

TEST(Manifest, VersionDependsOnTextAndCut) {
  EXPECT_EQ(documentVersion("text", 128), documentVersion("text", 128));
  EXPECT_NE(documentVersion("text", 128), documentVersion("text", 256));
  EXPECT_NE(documentVersion("text", 128), documentVersion("texts", 128));
}

TEST(Manifest, NewerVersionIsUnsupported) {
  Bytes bytes = serializeManifest(sample());
  bytes[8] = std::byte{kManifestVersion + 1};
  EXPECT_EQ(parseManifest(bytes).status().code(), ErrorCode::kUnsupported);
}

TEST(Manifest, EveryTruncationIsRefused) {
  const Bytes bytes = serializeManifest(sample());
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(parseManifest(ByteSpan(bytes).first(size)).ok()) << size;
  }
}

TEST(Manifest, EveryFlippedBitIsRefused) {
  const Bytes bytes = serializeManifest(sample());
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    Bytes damaged = bytes;
    damaged[bit / 8] ^= std::byte(1u << bit % 8);
    EXPECT_FALSE(parseManifest(damaged).ok()) << bit;
  }
}

// With a right checksum, so that the fields themselves are judged.
Bytes signedBytes(Bytes bytes, size_t offset, uint32_t value) {
  std::memcpy(bytes.data() + offset, &value, sizeof value);
  const uint64_t checksum = xxh3(ByteSpan(bytes).first(bytes.size() - 8));
  std::memcpy(bytes.data() + bytes.size() - 8, &checksum, sizeof checksum);
  return bytes;
}

TEST(Manifest, LyingFieldsAreRefused) {
  const Manifest manifest = sample();
  const size_t nameLength = 8 + 2 + 2 + 4 + 32;
  const size_t chunkCount = nameLength + 2 + manifest.name.size();
  const size_t tokens = chunkCount + 4 + 32;
  const Bytes bytes = serializeManifest(manifest);
  ASSERT_TRUE(parseManifest(signedBytes(bytes, chunkCount, 2)).ok());
  EXPECT_EQ(parseManifest(signedBytes(bytes, chunkCount, 1)).status().code(), ErrorCode::kCorrupt);
  EXPECT_EQ(parseManifest(signedBytes(bytes, chunkCount, UINT32_MAX)).status().code(),
            ErrorCode::kCorrupt);
  EXPECT_EQ(parseManifest(signedBytes(bytes, tokens, 0)).status().code(), ErrorCode::kCorrupt);
  EXPECT_EQ(parseManifest(signedBytes(bytes, tokens, UINT32_MAX)).status().code(),
            ErrorCode::kCorrupt);
  EXPECT_EQ(parseManifest(signedBytes(bytes, tokens + 4, UINT32_MAX)).status().code(),
            ErrorCode::kCorrupt);
  EXPECT_EQ(parseManifest(signedBytes(bytes, nameLength, UINT32_MAX)).status().code(),
            ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace spolia::engine
