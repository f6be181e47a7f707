// Made-up KV that looks like real KV (channels of differing scale and mean), as test input.
#pragma once

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "codec/codec.h"
#include "codec/values/half.h"

namespace spolia::codec {

// Owns KV values laid out (layer, plane, token, head, channel); all layers have one shape.
struct SampleKv {
  std::vector<LayerShape> layers;
  uint32_t tokens = 0;
  ElementType type = ElementType::kF32;
  std::vector<std::byte> bytes;

  SampleKv(uint32_t layerCount, LayerShape shape, uint32_t tokenCount, ElementType elementType)
      : layers(layerCount, shape), tokens(tokenCount), type(elementType) {
    bytes.resize(size_t{2} * layerCount * tokenCount * shape.channels() * elementSize(type));
  }

  template <typename Byte>
  BasicKvMemory<Byte> memory(Byte* base) const {
    const auto element = static_cast<ptrdiff_t>(elementSize(type));
    const auto row = static_cast<ptrdiff_t>(layers[0].channels()) * element;
    return {base,         2 * row * tokens,
            row * tokens, static_cast<ptrdiff_t>(layers[0].headDim) * element,
            row,          type};
  }
  KvView view() const { return memory<const std::byte>(bytes.data()); }
  KvTarget target() { return memory<std::byte>(bytes.data()); }

  size_t count() const { return bytes.size() / elementSize(type); }
  void set(size_t i, float value) {
    if (type == ElementType::kF32) {
      std::memcpy(&bytes[i * 4], &value, 4);
    } else {
      const uint16_t half = type == ElementType::kF16 ? f16FromF32(value) : bf16FromF32(value);
      std::memcpy(&bytes[i * 2], &half, 2);
    }
  }
  float get(size_t i) const {
    if (type == ElementType::kF32) {
      float value;
      std::memcpy(&value, &bytes[i * 4], 4);
      return value;
    }
    uint16_t half;
    std::memcpy(&half, &bytes[i * 2], 2);
    return type == ElementType::kF16 ? f32FromF16(half) : f32FromBf16(half);
  }

  void fill(uint32_t seed) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    const uint32_t channels = layers[0].channels();
    std::vector<float> scale(channels);
    std::vector<float> mean(channels);
    for (size_t begin = 0; begin < count(); begin += size_t{tokens} * channels) {
      for (uint32_t c = 0; c < channels; ++c) {
        scale[c] = std::exp(normal(random));
        mean[c] = normal(random) * scale[c];
      }
      for (size_t i = 0; i < size_t{tokens} * channels; ++i) {
        set(begin + i, mean[i % channels] + scale[i % channels] * normal(random));
      }
    }
  }
};

inline ChunkIdentity sampleIdentity(uint32_t tokens, uint32_t seed = 1) {
  std::mt19937 random(seed);
  ChunkIdentity identity;
  for (std::byte& b : identity.fingerprint.bytes) b = static_cast<std::byte>(random());
  for (uint32_t i = 0; i < tokens; ++i) identity.tokens.push_back(random() % 32000);
  return identity;
}

}  // namespace spolia::codec
