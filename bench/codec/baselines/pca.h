// Principal components of KV rows. Never changes once made; any thread.
#pragma once

#include <span>
#include <vector>

#include "bench/codec/quality/judging.h"
#include "codec/base/result.h"
#include "engine/kernels/matrix.h"

namespace spolia::bench {

class Pca {
 public:
  // The decomposition takes the cube of the columns: 4096 are minutes.
  static constexpr size_t kMostColumns = 4096;

  // Of all tokens of the samples. kUnsupported beyond kMostColumns, kInvalidArgument without
  // samples, kInternal when the decomposition does not converge.
  static Result<Pca> fit(std::span<const KvSample> samples, const KvShape& shape);

  size_t columns() const { return mean_.size(); }
  // [column], largest first.
  const std::vector<float>& variances() const { return variances_; }

  // The first `components` coefficients of each token: [token][component].
  engine::Matrix project(std::span<const float> values, size_t components) const;
  // Back: [token][column]. Coefficients past those given are zero.
  std::vector<float> restore(const engine::Matrix& coefficients) const;

 private:
  std::vector<float> mean_;       // [column]
  std::vector<float> variances_;  // [component]
  engine::Matrix basis_;          // [component][column]
  engine::Matrix columns_;        // [column][component], the same turned
};

}  // namespace spolia::bench
