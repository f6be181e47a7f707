#include "engine/profile/transform_learner.h"

#include <algorithm>
#include <cmath>

#include "codec/values/half.h"
#include "engine/kernels/gemm.h"
#include "engine/profile/symmetric_matrix.h"

namespace spolia::engine {
namespace {

constexpr double kMapRidge = 1e-4;
constexpr float kReach = 127;  // of 8-bit factors
// Rows that differ more in size lose digits: a shift takes range from the coefficients, and what
// does not fit into 16 bits after it is cut off.
constexpr uint32_t kMostRowShift = 4;

float roundedToBf16(float value) {
  return codec::f32FromBf16(codec::bf16FromF32(value));
}

// What a row is predicted from, as numbers.
void codeRow(const ScaledRows& rows, const TokenCodes& codes, CodeUse use, size_t row, float* to) {
  const int8_t* own = codes.of(rows.tokens[row]);
  for (uint32_t i = 0; i < use.own; ++i) to[i] = own[i];
  const int8_t* before = rows.first[row] != 0 ? nullptr : codes.of(rows.tokens[row - 1]);
  for (uint32_t i = 0; i < use.before; ++i) {
    to[use.own + i] = before == nullptr ? 0.0f : static_cast<float>(before[i]);
  }
}

// Which number of a code the i-th of a use is.
uint32_t numberOf(CodeUse use, uint32_t i) {
  return i < use.own ? i : i - use.own;
}

constexpr size_t kSliceRows = 1024;

// Calls with slices of rows, as [column][row] beside their codes as [code][row].
template <typename Visit>
void forEachSlice(const ScaledRows& rows, const TokenCodes& codes, CodeUse use, Visit visit) {
  for (size_t begin = 0; begin < rows.rows.rows(); begin += kSliceRows) {
    const size_t count = std::min(kSliceRows, rows.rows.rows() - begin);
    Matrix coded(count, use.count());
    for (size_t i = 0; i < count; ++i) codeRow(rows, codes, use, begin + i, coded.row(i));
    visit(turned(rows.rows.view().rowRange(begin, count)), turned(coded.view()));
  }
}

// What the numbers of a row are multiples of, whose component spreads so many steps: errors of a
// row count as its component does, and coarser numbers take fewer bytes. So they stay below a
// twelfth of what quantising the component does.
float granuleOf(float spread) {
  float granule = 1;
  for (float below = 4; spread < below && granule < 8; below /= 2) granule *= 2;
  return granule;
}

// Sets 8-bit rows with shifts from `values` [row][column], whose components spread so many steps;
// gives the common scale.
float quantiseRows(const Matrix& values, const std::vector<float>& spread,
                   std::vector<uint8_t>& shifts, std::vector<int8_t>& out) {
  std::vector<float> largest;
  for (size_t r = 0; r < values.rows(); ++r) {
    float most = 1e-20f;
    for (size_t c = 0; c < values.columns(); ++c) {
      most = std::max(most, std::fabs(values.row(r)[c]));
    }
    largest.push_back(most);
  }
  const float top = largest.empty() ? 1 : *std::max_element(largest.begin(), largest.end());
  const float scale = std::ldexp(top, -static_cast<int>(kMostRowShift)) / kReach;
  for (size_t r = 0; r < values.rows(); ++r) {
    const float need = std::ceil(std::log2(largest[r] / (scale * kReach)) - 1e-3f);
    shifts.push_back(
        static_cast<uint8_t>(std::clamp(need, 0.0f, static_cast<float>(kMostRowShift))));
    const float granule = granuleOf(spread[r]);
    const float unit = std::ldexp(scale, shifts.back()) * granule;
    const float reach = std::floor(kReach / granule);
    for (size_t c = 0; c < values.columns(); ++c) {
      const float whole = std::clamp(std::round(values.row(r)[c] / unit), -reach, reach);
      out.push_back(static_cast<int8_t>(whole * granule));
    }
  }
  // Only what is needed: large shifts take range from the coefficients.
  const uint8_t least =
      shifts.empty() ? uint8_t{0} : *std::min_element(shifts.begin(), shifts.end());
  for (uint8_t& s : shifts) s = static_cast<uint8_t>(s - least);
  return std::ldexp(scale, least);
}

void subtractPrediction(ScaledRows& rows, const TokenCodes& codes, const CodeMaps& fitted,
                        const codec::ProfileBlock& block) {
  const uint32_t used = fitted.use.count();
  Matrix maps(block.channels(), used);  // [column][code]
  for (uint32_t i = 0; i < used; ++i) {
    const float unit = std::ldexp(1.0f, fitted.shifts[numberOf(fitted.use, i)]);
    for (uint32_t c = 0; c < block.channels(); ++c) {
      maps.row(c)[i] = unit * block.mapScale[c] *
                       static_cast<float>(block.maps[size_t{i} * block.channels() + c]);
    }
  }
  for (size_t begin = 0; begin < rows.rows.rows(); begin += kSliceRows) {
    const size_t count = std::min(kSliceRows, rows.rows.rows() - begin);
    Matrix coded(count, used);
    for (size_t i = 0; i < count; ++i) codeRow(rows, codes, fitted.use, begin + i, coded.row(i));
    Matrix predicted(count, block.channels());
    multiplyAlone(coded.view(), maps.view(), predicted.mutableView(), Accumulate::kReplace);
    for (size_t i = 0; i < count; ++i) {
      float* to = rows.rows.row(begin + i) + block.begin;
      for (uint32_t c = 0; c < block.channels(); ++c) to[c] -= predicted.row(i)[c];
    }
  }
}

}  // namespace

ScaledRows scaleRows(std::span<const KvSample> samples, const KvShape& shape,
                     const std::vector<float>& sensitivity) {
  const size_t columns = shape.columns();
  size_t count = 0;
  std::vector<double> sums(columns);
  for (const KvSample& sample : samples) {
    count += sample.tokens.size();
    for (size_t i = 0; i < sample.values.size(); ++i) sums[i % columns] += double{sample.values[i]};
  }
  ScaledRows out;
  out.rows = Matrix(count, columns);
  double mean = 0;
  for (float s : sensitivity) mean += double{s} / static_cast<double>(columns);
  for (size_t c = 0; c < columns; ++c) {
    out.mean.push_back(roundedToBf16(static_cast<float>(sums[c] / static_cast<double>(count))));
    out.scale.push_back(roundedToBf16(static_cast<float>(std::sqrt(mean / sensitivity[c]))));
  }
  size_t row = 0;
  for (const KvSample& sample : samples) {
    for (size_t t = 0; t < sample.tokens.size(); ++t, ++row) {
      out.tokens.push_back(sample.tokens[t]);
      out.first.push_back(t == 0);
      const float* from = sample.values.data() + t * columns;
      float* to = out.rows.row(row);
      for (size_t c = 0; c < columns; ++c) to[c] = (from[c] - out.mean[c]) / out.scale[c];
    }
  }
  return out;
}

Result<CodeMaps> fitMaps(const ScaledRows& rows, const TokenCodes& codes, CodeUse use) {
  const size_t width = use.count();
  Matrix gram = Matrix::zeroed(width, width);
  CodeMaps out{use, {}, Matrix::zeroed(rows.rows.columns(), width)};
  forEachSlice(rows, codes, use, [&](const Matrix& values, const Matrix& coded) {
    multiplyAlone(coded.view(), coded.view(), gram.mutableView(), Accumulate::kAdd);
    multiplyAlone(values.view(), coded.view(), out.maps.mutableView(), Accumulate::kAdd);
  });
  SPOLIA_RETURN_IF_ERROR(solveRows(gram, kMapRidge, out.maps));
  std::vector<float> largest(codes.rank, 1e-20f);
  for (size_t c = 0; c < out.maps.rows(); ++c) {
    for (uint32_t i = 0; i < width; ++i) {
      float& most = largest[numberOf(use, i)];
      most = std::max(most, std::fabs(out.maps.row(c)[i]));
    }
  }
  const float least = largest.empty() ? 1 : *std::min_element(largest.begin(), largest.end());
  for (float most : largest) {
    out.shifts.push_back(static_cast<uint8_t>(std::clamp(std::round(std::log2(most / least)), 0.0f,
                                                         static_cast<float>(codec::kMaxShift))));
  }
  return out;
}

codec::ProfileBlock learnBlock(ScaledRows& rows, const TokenCodes& codes, const CodeMaps& maps,
                               uint32_t begin, uint32_t end) {
  codec::ProfileBlock block;
  block.begin = begin;
  block.end = end;

  block.mean.assign(rows.mean.begin() + begin, rows.mean.begin() + end);
  block.scale.assign(rows.scale.begin() + begin, rows.scale.begin() + end);
  const uint32_t used = maps.use.count();
  Matrix factors(used, block.channels());
  std::vector<float> most(block.channels(), 1e-20f);
  for (uint32_t i = 0; i < used; ++i) {
    for (uint32_t c = 0; c < block.channels(); ++c) {
      const float f = std::ldexp(maps.maps.row(begin + c)[i], -maps.shifts[numberOf(maps.use, i)]);
      factors.row(i)[c] = f;
      most[c] = std::max(most[c], std::fabs(f));
    }
  }
  // Rounded up, so that the largest factor stays within 127.
  for (float m : most) block.mapScale.push_back(roundedToBf16(m / kReach * 1.004f));
  for (uint32_t i = 0; i < used; ++i) {
    for (uint32_t c = 0; c < block.channels(); ++c) {
      block.maps.push_back(static_cast<int8_t>(std::lround(factors.row(i)[c] / block.mapScale[c])));
    }
  }
  subtractPrediction(rows, codes, maps, block);
  return block;
}

namespace {

// Calls with each head of a block that has a metric, and where it begins in the block.
template <typename Visit>
void forEachMetric(const HeadMetrics& metrics, const codec::ProfileBlock& block, Visit visit) {
  for (uint32_t c = block.begin; c < block.end; c += metrics.headDim) {
    const MetricRoot* root = metrics.roots[c / metrics.headDim];
    if (root != nullptr) visit(*root, c - block.begin);
  }
}

// row[begin ..] = m row[begin ..], m symmetric.
void multiplyPart(const Matrix& m, uint32_t begin, float* row) {
  std::vector<float> out(m.rows());
  for (size_t i = 0; i < m.rows(); ++i) {
    for (size_t j = 0; j < m.columns(); ++j) out[i] += m.at(i, j) * row[begin + j];
  }
  std::copy(out.begin(), out.end(), row + begin);
}

// h c h, h of the roots.
void intoMetric(const HeadMetrics& metrics, const codec::ProfileBlock& block, Matrix& covariance) {
  for (int side = 0; side < 2; ++side) {
    forEachMetric(metrics, block, [&](const MetricRoot& root, uint32_t begin) {
      for (size_t r = 0; r < covariance.rows(); ++r) {
        multiplyPart(root.root, begin, covariance.row(r));
      }
    });
    covariance = turned(covariance.view());
  }
}

}  // namespace

Status learnBasis(const ScaledRows& residual, const HeadMetrics& metrics, float step,
                  float leastSpread, codec::ProfileBlock& block) {
  const uint32_t channels = block.channels();
  Matrix covariance = Matrix::zeroed(channels, channels);
  const size_t count = residual.rows.rows();
  for (size_t begin = 0; begin < count; begin += kSliceRows) {
    const MatrixView slice = residual.rows.view()
                                 .rowRange(begin, std::min(kSliceRows, count - begin))
                                 .columnRange(block.begin, channels);
    const Matrix columns = turned(slice);
    multiplyAlone(columns.view(), columns.view(), covariance.mutableView(), Accumulate::kAdd);
  }
  intoMetric(metrics, block, covariance);
  SPOLIA_ASSIGN_OR_RETURN(const std::vector<float> values, decompose(covariance));
  // Largest first; in whole packs, as far as one of a pack spreads enough.
  std::vector<float> spread;
  for (uint32_t j = 0; j < channels; ++j) {
    const float variance = std::max(values[channels - 1 - j], 0.0f) / static_cast<float>(count);
    spread.push_back(std::sqrt(variance) / step);
  }
  uint32_t kept = 0;
  const uint32_t most = std::min(channels, codec::kMaxBlockComponents);
  while (kept + codec::kPackComponents <= most && spread[kept] >= leastSpread) {
    kept += codec::kPackComponents;
  }
  Matrix basis(kept, channels);
  for (uint32_t j = 0; j < kept; ++j) {
    std::copy_n(covariance.row(channels - 1 - j), channels, basis.row(j));
    forEachMetric(metrics, block, [&](const MetricRoot& root, uint32_t begin) {
      multiplyPart(root.inverse, begin, basis.row(j));
    });
  }
  block.shifts.clear();
  block.components.clear();
  block.classes.clear();
  block.componentScale = quantiseRows(basis, spread, block.shifts, block.components);
  for (uint32_t g = 0; g < kept; g += codec::kPackComponents) {
    float square = 0;
    for (uint32_t i = 0; i < codec::kPackComponents; ++i) {
      square += spread[g + i] * spread[g + i] / codec::kPackComponents;
    }
    block.classes.push_back(static_cast<uint8_t>(codec::classOf(std::sqrt(square))));
  }
  return {};
}

}  // namespace spolia::engine
