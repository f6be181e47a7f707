// Hostile streams: any bytes give values or an error. What this finds shows best under ASan +
// UBSan.
#include <gtest/gtest.h>

#include <algorithm>

#include "codec/codec.h"
#include "tests/codec/codec_samples.h"
#include "tests/codec/seal_stream.h"

namespace spolia::codec {
namespace {

constexpr LayerShape kFuzzShape{2, 8};
constexpr uint32_t kTokens = 48;

Bytes sampleStream(Preset preset, ElementType type) {
  SampleKv kv(2, kFuzzShape, kTokens, type);
  kv.fill(4);
  EncodeOptions options;
  options.preset = preset;
  options.tokenGroup = 40;
  return encodeStream(sampleIdentity(kTokens), kv.layers, kv.view(), options).value();
}

// A target of exactly the size that the header's shapes ask for, unless that is large.
void decodeAnything(ByteSpan stream) {
  auto header = parseHeader(stream);
  if (!header.ok()) return;
  if (header->layers.size() > 8 || header->layers[0] != kFuzzShape || header->tokens() > 256)
    return;
  const bool uniform = std::all_of(header->layers.begin(), header->layers.end(),
                                   [](const LayerShape& s) { return s == kFuzzShape; });
  if (!uniform) return;
  for (ElementType type : {ElementType::kF32, ElementType::kF16}) {
    SampleKv out(static_cast<uint32_t>(header->layers.size()), kFuzzShape, header->tokens(), type);
    decodeStream(stream, *header, {}, out.target()).ignore();  // an error is as good as a value
    KvRange part;
    part.layerBegin = 1;
    part.tokenEnd = 3;
    decodeStream(stream, *header, part, out.target()).ignore();
  }
}

struct Sample {
  Preset preset;
  ElementType type;
};
constexpr Sample kSamples[] = {{Preset::kLossless, ElementType::kF32},
                               {Preset::kLossless, ElementType::kBf16},
                               {Preset::kHigh, ElementType::kF16},
                               {Preset::kSmall, ElementType::kF32}};

TEST(CodecFuzz, EveryFlippedBitIsNoticed) {
  for (const Sample& sample : kSamples) {
    const Bytes stream = sampleStream(sample.preset, sample.type);
    ASSERT_TRUE(verifyStream(stream).ok());
    for (size_t i = 0; i < stream.size(); ++i) {
      Bytes bad = stream;
      bad[i] ^= static_cast<std::byte>(1u << i % 8);
      ASSERT_FALSE(verifyStream(bad).ok()) << "byte " << i;
    }
  }
}

TEST(CodecFuzz, EveryTruncationIsNoticed) {
  for (const Sample& sample : kSamples) {
    const Bytes stream = sampleStream(sample.preset, sample.type);
    for (size_t size = 0; size < stream.size(); ++size) {
      const ByteSpan cut = ByteSpan(stream).first(size);
      ASSERT_FALSE(verifyStream(cut).ok()) << size;
      decodeAnything(cut);
    }
  }
}

TEST(CodecFuzz, DamageBehindValidChecksumsIsHarmless) {
  const uint32_t seed = 20260101;
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  for (const Sample& sample : kSamples) {
    const Bytes stream = sampleStream(sample.preset, sample.type);
    for (int round = 0; round < 3000; ++round) {
      Bytes bad = stream;
      const size_t limit = round % 3 == 0 ? headerLength(stream).value() : stream.size();
      for (uint32_t n = 1 + random() % 6; n > 0; --n) {
        bad[random() % limit] = static_cast<std::byte>(random());
      }
      sealStream(bad);
      decodeAnything(bad);
    }
  }
}

TEST(CodecFuzz, RandomBytesAfterThePrefix) {
  const uint32_t seed = 77;
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  const Bytes stream = sampleStream(Preset::kHigh, ElementType::kF32);
  for (int round = 0; round < 2000; ++round) {
    Bytes bad(stream.begin(), stream.begin() + 12);
    bad.resize(33 + random() % 600);
    for (size_t i = 12; i < bad.size(); ++i) bad[i] = static_cast<std::byte>(random());
    const auto length = static_cast<uint32_t>(bad.size());
    std::memcpy(bad.data() + 12, &length, sizeof length);
    sealHeader(bad);
    decodeAnything(bad);
    for (size_t i = 0; i < 12; ++i) bad[i] = static_cast<std::byte>(random());
    decodeAnything(bad);
  }
}

}  // namespace
}  // namespace spolia::codec
