// KIVI (arXiv 2402.02750): K per channel in groups of 32 tokens, V per token in groups of 32
// channels, least value and step of a group as fp16, and the newest 32 tokens left in fp16. At 256
// tokens that residual alone is an eighth of the cache, so there is a kinder form without it too.
// The quality is the number of bits; published are 4, 3 and 2.
#pragma once

#include "bench/codec/baselines/group_quant.h"
#include "bench/codec/baselines/scheme.h"

namespace spolia::bench {

class KiviScheme : public Scheme {
 public:
  enum class Residual : bool { kNone, kAsPublished };

  explicit KiviScheme(Residual residual) : residual_(residual) {}

  std::string name() const override {
    return residual_ == Residual::kNone ? "kivi-no-residual" : "kivi";
  }
  std::vector<double> qualities() const override { return {8, 6, 5, 4, 3, 2}; }
  Status calibrate(std::span<const KvSample> samples, const KvShape& shape) override;
  Outcome code(const KvSample& sample, double quality) const override;

 private:
  struct Groups {
    std::vector<ValueGroup> quantised, exact;
  };
  Groups groupsOf(size_t tokens) const;

  const Residual residual_;
  KvShape shape_;
};

}  // namespace spolia::bench
