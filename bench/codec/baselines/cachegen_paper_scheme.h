// CacheGen as its paper describes it (arXiv 2310.07240): groups of 10 tokens, the first of each an
// anchor of 8 bits, the others coded as differences from the anchor in bins of 0.5, 1 and 1.5 in
// the first, middle and last third of the layers; arithmetic coding with a distribution for each
// layer, K or V, and channel, for anchors and differences apart, learnt beforehand.
//
// Where the paper leaves room we take what is kind to it: bins are in standard deviations of the
// column's differences on the calibration text, so that scales cost nothing; differences are from
// the anchor as it is decoded; all tables are the model's and are not counted. The quality
// multiplies the bins.
#pragma once

#include "bench/codec/baselines/scheme.h"
#include "bench/codec/baselines/signed_table.h"

namespace spolia::bench {

class CacheGenPaperScheme : public Scheme {
 public:
  std::string name() const override { return "cachegen-paper"; }
  std::vector<double> qualities() const override {
    return {0.1, 0.15, 0.2, 0.3, 0.4, 0.55, 0.75, 1, 1.4, 2};
  }
  Status calibrate(std::span<const KvSample> samples, const KvShape& shape) override;
  void prepare(double quality) override;
  Outcome code(const KvSample& sample, double quality) const override;

 private:
  struct Steps {
    float anchor = 0;
    float difference = 0;
  };
  struct Tables {
    SignedTable anchors, differences;
  };
  Steps stepsOf(size_t column, double quality) const;

  KvShape shape_;
  std::vector<std::vector<float>> calibration_;  // [sample][column][token]
  std::vector<Steps> unit_;                      // [column], of quality 1
  std::vector<Tables> tables_;                   // [column], of the quality prepared last
};

}  // namespace spolia::bench
