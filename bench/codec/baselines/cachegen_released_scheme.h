// CacheGen as its authors' code and LMCache do it, which is not what the paper says: no anchors and
// no differences. All channels of a token, layer and K or V are scaled by their largest magnitude
// to a few levels; the levels of each layer, K or V, and channel are coded with a table of this
// very chunk, which is stored with it, as are the scales.
//
// Levels as in the default for models of 7B: of the layers, the first 10 of 32 have 32 in K and the
// first 2 of 32 have 32 in V, all others 16; other depths in proportion. The quality multiplies
// them. Kind to it: scales take 2 bytes each, and one coder run serves all channels, without
// lengths.
#pragma once

#include "bench/codec/baselines/scheme.h"

namespace spolia::bench {

class CacheGenReleasedScheme : public Scheme {
 public:
  std::string name() const override { return "cachegen-released"; }
  std::vector<double> qualities() const override {
    return {16, 8, 5, 3, 2, 1.5, 1, 0.75, 0.5, 0.35};
  }
  Status calibrate(std::span<const KvSample> samples, const KvShape& shape) override;
  Outcome code(const KvSample& sample, double quality) const override;

 private:
  // Levels of a plane are 0 .. 2 * half.
  uint32_t halfOf(size_t plane, double quality) const;

  KvShape shape_;
};

}  // namespace spolia::bench
