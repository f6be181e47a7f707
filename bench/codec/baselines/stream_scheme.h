// The project's own streams without a profile (codec/codec.h): the quality is the gain, in quarter
// octaves, of which `lossless` has none. What is counted is the whole stream, header and token ids
// included.
#pragma once

#include "bench/codec/baselines/scheme.h"
#include "codec/codec.h"

namespace spolia::bench {

class StreamScheme : public Scheme {
 public:
  // `type`: of the values that are encoded, kF16 or kBf16.
  StreamScheme(codec::Preset preset, codec::ElementType type) : preset_(preset), type_(type) {}

  std::string name() const override;
  std::vector<double> qualities() const override;
  Status calibrate(std::span<const KvSample> samples, const KvShape& shape) override;
  Outcome code(const KvSample& sample, double quality) const override;

 private:
  const codec::Preset preset_;
  const codec::ElementType type_;
  KvShape shape_;
};

}  // namespace spolia::bench
