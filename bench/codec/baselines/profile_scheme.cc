#include "bench/codec/baselines/profile_scheme.h"

#include <algorithm>

#include "bench/codec/baselines/halves.h"
#include "codec/base/check.h"

namespace spolia::bench {

std::string ProfileScheme::name() const {
  const std::string preset(codec::presetName(preset_));
  return preset + (form_ == Form::kWhole      ? ""
                   : form_ == Form::kOneLevel ? "-one-level"
                                              : "-first-level");
}

std::vector<double> ProfileScheme::qualities() const {
  if (form_ != Form::kWhole) return {0};
  return {-12, -8, -6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 6, 8};
}

Status ProfileScheme::calibrate(std::span<const KvSample> /*samples*/, const KvShape& shape) {
  const std::vector<codec::LayerShape> layers(shape.layers, {shape.kvHeads, shape.headDim});
  if (profile_->data().layers != layers) {
    return Status(ErrorCode::kUnsupported, "the profile is of a model of another shape");
  }
  shape_ = shape;
  return Status();
}

// The first layers of each token, which its reader computes as the sample's were, and no others.
std::vector<float> ProfileScheme::derivedPart(const KvSample& sample, uint32_t layers) const {
  std::vector<float> out(sample.values.size());
  const size_t count = layers * 2 * shape_.channels();
  for (size_t at = 0; at < out.size(); at += shape_.columns()) {
    std::copy_n(sample.values.data() + at, count, out.data() + at);
  }
  return out;
}

Outcome ProfileScheme::code(const KvSample& sample, double quality) const {
  std::vector<uint16_t> halves;
  halves.reserve(sample.values.size());
  for (const float value : sample.values) {
    halves.push_back(halfFrom(value, codec::ElementType::kF16));
  }
  codec::ChunkIdentity identity;
  identity.fingerprint = profile_->data().fingerprint;
  identity.tokens = sample.tokens;
  codec::EncodeOptions options;
  options.preset = preset_;
  options.profile = profile_.get();
  options.gain = static_cast<int8_t>(quality);
  options.levels = form_ == Form::kOneLevel ? 1 : 2;
  const auto* from = reinterpret_cast<const std::byte*>(halves.data());
  const Bytes stream =
      codec::encodeStream(identity, profile_->data().layers,
                          sampleMemory(from, codec::ElementType::kF16, shape_), options)
          .value();

  const codec::StreamHeader header = codec::parseHeader(stream).value();
  Outcome out{stream.size(), derivedPart(sample, header.derivedLayers)};
  codec::KvRange range;
  if (form_ == Form::kCoarse) {
    range.maxLevel = 0;
    out.bytes = header.headerBytes;
    for (uint32_t index : codec::coveringFrames(header, range)) {
      out.bytes += header.frames[index].size;
    }
  }
  auto* to = reinterpret_cast<std::byte*>(out.restored.data());
  SPOLIA_CHECK(codec::decodeStream(stream, header, range,
                                   sampleMemory(to, codec::ElementType::kF32, shape_),
                                   profile_.get())
                   .ok());
  return out;
}

}  // namespace spolia::bench
