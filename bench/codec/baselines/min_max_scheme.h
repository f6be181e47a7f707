// int8 and int4: the quantisation that most systems offer. K per channel over all tokens, V per
// token over all channels, least value and step as fp16. The bits are the scheme's, not a quality.
#pragma once

#include "bench/codec/baselines/scheme.h"

namespace spolia::bench {

class MinMaxScheme : public Scheme {
 public:
  // 1 to 16 bits.
  explicit MinMaxScheme(unsigned bits) : bits_(bits) {}

  std::string name() const override { return "int" + std::to_string(bits_); }
  std::vector<double> qualities() const override { return {static_cast<double>(bits_)}; }
  Status calibrate(std::span<const KvSample> samples, const KvShape& shape) override;
  Outcome code(const KvSample& sample, double quality) const override;

 private:
  const unsigned bits_;
  KvShape shape_;
};

}  // namespace spolia::bench
