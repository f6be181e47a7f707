#include "bench/codec/baselines/stream_scheme.h"

#include "bench/codec/baselines/halves.h"
#include "codec/base/check.h"

namespace spolia::bench {

std::string StreamScheme::name() const {
  const std::string preset(codec::presetName(preset_));
  const bool profiled = preset_ == codec::Preset::kBalanced || preset_ == codec::Preset::kSmall;
  return preset + "-" + (profiled ? "unprofiled" : std::string(codec::elementTypeName(type_)));
}

std::vector<double> StreamScheme::qualities() const {
  switch (preset_) {
    case codec::Preset::kLossless:
      return {0};
    case codec::Preset::kHigh:
      return {-8, -4, -2, 0, 2, 4, 6};
    case codec::Preset::kBalanced:
      return {-8, -4, -2, -1, 0, 1, 2, 4};
    case codec::Preset::kSmall:
      return {-12, -8, -4, -2, 0, 2, 4};
  }
  return {0};
}

Status StreamScheme::calibrate(std::span<const KvSample> /*samples*/, const KvShape& shape) {
  shape_ = shape;
  return Status();
}

Outcome StreamScheme::code(const KvSample& sample, double quality) const {
  std::vector<uint16_t> halves;
  halves.reserve(sample.values.size());
  for (const float value : sample.values) halves.push_back(halfFrom(value, type_));
  codec::ChunkIdentity identity;
  identity.tokens = sample.tokens;
  const std::vector<codec::LayerShape> layers(shape_.layers, {shape_.kvHeads, shape_.headDim});
  codec::EncodeOptions options;
  options.preset = preset_;
  options.gain = static_cast<int8_t>(quality);
  const auto* from = reinterpret_cast<const std::byte*>(halves.data());
  const Bytes stream =
      codec::encodeStream(identity, layers, sampleMemory(from, type_, shape_), options).value();

  Outcome out{stream.size(), std::vector<float>(sample.values.size())};
  auto* to = reinterpret_cast<std::byte*>(out.restored.data());
  const codec::StreamHeader header = codec::parseHeader(stream).value();
  // Into f32, as the judge takes it from every scheme: nothing is rounded for a page.
  SPOLIA_CHECK(
      codec::decodeStream(stream, header, {}, sampleMemory(to, codec::ElementType::kF32, shape_))
          .ok());
  return out;
}

}  // namespace spolia::bench
