// A small complete stream with made-up values, for tests that move streams about.
#pragma once

#include <gtest/gtest.h>

#include "codec/base/aligned_buffer.h"
#include "tests/codec/codec_samples.h"

namespace spolia::test {

inline codec::ModelDescriptor sampleModel(const std::string& seed) {
  codec::ModelDescriptor model;
  model.weights.bytes = sha256(asBytes(seed));
  model.config.bytes = sha256(asBytes("config"));
  model.numerics = "f32";
  return model;
}

struct SampleStream {
  ChunkId id;
  codec::ChunkIdentity identity;
  Bytes bytes;

  AlignedBuffer buffer() const { return AlignedBuffer::copyOf(bytes); }
};

// Of `tokens` tokens, 3 layers of 2 heads of 32 channels; `seed` makes tokens and values.
inline SampleStream sampleStream(uint32_t seed, uint32_t tokens, const ModelFingerprint& model,
                                 codec::Preset preset = codec::Preset::kLossless) {
  SampleStream out;
  out.identity.fingerprint = model;
  for (uint32_t i = 0; i < tokens; ++i) out.identity.tokens.push_back(seed * 1000 + i);
  codec::SampleKv kv(3, {2, 32}, tokens, codec::ElementType::kF32);
  kv.fill(seed);
  codec::EncodeOptions options;
  options.preset = preset;
  options.tokenGroup = 64;
  auto stream = codec::encodeStream(out.identity, kv.layers, kv.view(), options);
  EXPECT_TRUE(stream.ok()) << stream.status().toString();
  out.id = codec::chunkIdOf(out.identity);
  if (stream.ok()) out.bytes = std::move(*stream);
  return out;
}

}  // namespace spolia::test
