// zstd at level 19 over the cache in 16 bits: as it stands, [layer][K, V][token][channel], or with
// each channel's tokens side by side and the two bytes of the values apart, which suits it better.
// Of fp16 nothing is lost; of bf16 what the rounding loses.
#pragma once

#include "bench/codec/baselines/scheme.h"

namespace spolia::bench {

class ZstdScheme : public Scheme {
 public:
  enum class Order : bool { kPlain, kBytePlanes };

  // kF16 or kBf16.
  ZstdScheme(codec::ElementType type, Order order) : type_(type), order_(order) {}

  std::string name() const override;
  std::vector<double> qualities() const override { return {1}; }
  Status calibrate(std::span<const KvSample> samples, const KvShape& shape) override;
  Outcome code(const KvSample& sample, double quality) const override;

 private:
  // Where byte `half` (0 the lower) of a value goes.
  size_t placeOfByte(size_t token, size_t column, size_t half, size_t tokens) const;

  const codec::ElementType type_;
  const Order order_;
  KvShape shape_;
};

}  // namespace spolia::bench
