// A chunk that was encoded with a made-up profile, and what it decodes to: f32, [layer][plane]
// [head][token][channel].
#pragma once

#include <gtest/gtest.h>

#include "client/spolia.h"
#include "tests/codec/golden_kv.h"
#include "tests/codec/lossy/made_up_profile.h"

namespace spolia::test {

struct ProfiledChunk {
  static constexpr uint32_t kTokens = 20;
  static constexpr codec::LayerShape kShape{2, 8};
  static constexpr uint32_t kLayers = 3;

  explicit ProfiledChunk(const codec::Profile& with, uint32_t seed = 1,
                         codec::Preset preset = codec::Preset::kSmall)
      : profile(with.id()) {
    const codec::ChunkIdentity identity = codec::madeUpIdentity(kTokens, seed);
    const std::vector<codec::LayerShape> layers(kLayers, kShape);
    codec::GoldenKv kv(layers, kTokens, codec::ElementType::kF32);
    kv.fill(seed);
    codec::EncodeOptions options;
    options.preset = preset;
    options.profile = &with;
    options.tokenGroup = 16;
    id = codec::chunkIdOf(identity);
    stream = codec::encodeStream(identity, layers, kv.view(), options).value();
    header = codec::parseHeader(stream).value();
    values.assign(valueCount(), kUntouched);
    EXPECT_TRUE(codec::decodeStream(stream, header, {}, target(values), &with).ok());
  }

  static size_t valueCount() { return size_t{kLayers} * 2 * kTokens * kShape.channels(); }
  static codec::KvTarget target(std::vector<float>& to) {
    constexpr ptrdiff_t kRow = kShape.headDim * sizeof(float);
    constexpr ptrdiff_t kHead = kRow * kTokens;
    return {reinterpret_cast<std::byte*>(to.data()),
            2 * kShape.kvHeads * kHead,
            kShape.kvHeads * kHead,
            kHead,
            kRow,
            codec::ElementType::kF32};
  }
  // What memory holds before.
  static constexpr float kUntouched = 7.0f;

  Sha256Digest profile;
  ChunkId id;
  Bytes stream;
  codec::StreamHeader header;
  std::vector<float> values;  // kUntouched where nothing is written
};

inline codec::ProfileRecipe threeLayers(uint32_t seed = 1, bool derived = false) {
  codec::ProfileRecipe recipe;
  recipe.layers.assign(ProfiledChunk::kLayers, ProfiledChunk::kShape);
  recipe.seed = seed;
  recipe.derived = derived;
  return recipe;
}

// What a server has a profile under.
inline ChunkId entryIdOf(const Sha256Digest& profile) {
  ChunkId id;
  id.bytes = profile.bytes;
  return id;
}

}  // namespace spolia::test
