// KVTC (arXiv 2511.01815): rows less their mean, in principal components learnt beforehand; groups
// of components get bits by dynamic programming for the least squared error; a least value and a
// step as fp16 for each group and token; DEFLATE over it all. The quality is the ratio to fp16
// that the bits are allocated for, before DEFLATE.
//
// As published the first 4 tokens are left in fp16. The newest 128 would be too: half of a chunk of
// 256 tokens, so we leave that rule out, kindly to it. Kindly too, one basis serves K and V of all
// layers together (published: one for K, one for V), bits are any number and not only powers of
// two, and what is deflated is levels in bits or levels in bytes, whichever comes out smaller.
//
// The kind form goes further: no token is left in fp16, and each component has one step for all
// texts, the best on the calibration text, so that groups cost nothing but their bits.
#pragma once

#include <memory>
#include <optional>

#include "bench/codec/baselines/bit_allocation.h"
#include "bench/codec/baselines/pca.h"
#include "bench/codec/baselines/scheme.h"
#include "codec/base/bytes.h"

namespace spolia::bench {

class KvtcScheme : public Scheme {
 public:
  enum class Form : bool { kAsPublished, kKind };

  explicit KvtcScheme(Form form) : form_(form) {}

  std::string name() const override { return form_ == Form::kKind ? "kvtc-kind" : "kvtc"; }
  std::vector<double> qualities() const override {
    return {4, 5, 6, 8, 10, 13, 16, 20, 26, 32, 48, 64};
  }
  Status calibrate(std::span<const KvSample> samples, const KvShape& shape) override;
  void prepare(double quality) override;
  Outcome code(const KvSample& sample, double quality) const override;

 private:
  size_t exactTokens() const { return form_ == Form::kKind ? 0 : 4; }
  void chooseSteps(const engine::Matrix& coefficients);
  double errorOf(const engine::Matrix& coefficients, const ComponentGroup& group) const;
  Bytes encode(const engine::Matrix& coefficients) const;
  engine::Matrix decode(ByteSpan stream, size_t tokens) const;

  const Form form_;
  KvShape shape_;
  std::optional<Pca> pca_;
  std::vector<std::vector<float>> steps_;  // kind form: [bits][component]
  std::unique_ptr<const BitAllocation> allocation_;
  std::vector<ComponentGroup> groups_;  // of the quality prepared last
  size_t components_ = 0;               // up to the last one that has bits
};

}  // namespace spolia::bench
