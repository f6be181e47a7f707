// The vectors are those of codec/FORMAT.md, computed by an independent program.
#include "codec/chunk_identity.h"

#include <gtest/gtest.h>

namespace spolia::codec {
namespace {

template <typename D>
D countingFrom(int first) {
  D digest;
  for (int i = 0; i < 32; ++i) digest.bytes[i] = static_cast<std::byte>(first + i);
  return digest;
}

template <typename D>
D filledWith(int value) {
  D digest;
  digest.bytes.fill(static_cast<std::byte>(value));
  return digest;
}

ChunkIdentity vectorA() {
  ChunkIdentity identity;
  identity.fingerprint = countingFrom<ModelFingerprint>(0);
  identity.tokens = {1, 2, 3, 31999, 4294967295};
  return identity;
}

TEST(ChunkIdentity, VectorIsolatedText) {
  EXPECT_EQ(chunkIdOf(vectorA()).hex(),
            "4d2572bd697f420ed3a82dcd59df00b67cdeeb282a74de91a54550e7bd5c33ae");
}

TEST(ChunkIdentity, VectorPrefixText) {
  ChunkIdentity identity = vectorA();
  identity.parent = countingFrom<ChunkId>(32);
  identity.mode = CompileMode::kPrefix;
  EXPECT_EQ(chunkIdOf(identity).hex(),
            "dba80dd48d720cf959014da0cca6eeb069e695d021fc2a6a22d57bede191c0a5");
}

TEST(ChunkIdentity, VectorImage) {
  ChunkIdentity identity;
  identity.fingerprint = countingFrom<ModelFingerprint>(0);
  identity.mode = CompileMode::kLego0;
  identity.modality = Modality::kImage;
  identity.imageBytes = filledWith<Sha256Digest>(0xaa);
  identity.imagePreprocessing = filledWith<Sha256Digest>(0xbb);
  identity.imageRows = 576;
  EXPECT_EQ(chunkIdOf(identity).hex(),
            "57bda341cad01af56c0c849684f2e5835c41d1e2909b0c487d076573d017baa4");
}

TEST(ChunkIdentity, VectorManifest) {
  EXPECT_EQ(manifestIdOf(countingFrom<ModelFingerprint>(0),
                         "docs/gr\xc3\xb6\xc3\x9f"
                         "e.md")
                .hex(),
            "22cac551b58dde753d7a06a433d7b4f9a59245bafd209c4bf5242c2d84f3be23");
}

TEST(ChunkIdentity, VectorFingerprint) {
  ModelDescriptor model;
  model.weights = filledWith<Sha256Digest>(1);
  model.config = filledWith<Sha256Digest>(2);
  model.tokenizer = filledWith<Sha256Digest>(3);
  model.rope = filledWith<Sha256Digest>(4);
  model.numerics = "f16";
  EXPECT_EQ(fingerprintOf(model).hex(),
            "d5da726b7fc8f5b892033e9e9e0ee23c0ef89ba82be2778597bdc709b4081c30");
}

TEST(ChunkIdentity, EveryFieldMatters) {
  const ChunkId id = chunkIdOf(vectorA());
  ChunkIdentity other = vectorA();
  other.fingerprint.bytes[31] ^= std::byte{1};
  EXPECT_NE(chunkIdOf(other), id);
  other = vectorA();
  other.parent = ChunkId{};
  EXPECT_NE(chunkIdOf(other), id);
  other = vectorA();
  other.mode = CompileMode::kLego0;
  EXPECT_NE(chunkIdOf(other), id);
  other = vectorA();
  std::swap(other.tokens[0], other.tokens[1]);
  EXPECT_NE(chunkIdOf(other), id);
}

}  // namespace
}  // namespace spolia::codec
