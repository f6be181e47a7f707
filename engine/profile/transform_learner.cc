#include "engine/profile/transform_learner.h"

#include <algorithm>
#include <cmath>

#include "codec/values/half.h"
#include "engine/kernels/gemm.h"
#include "engine/profile/symmetric_matrix.h"

namespace spolia::engine {
namespace {

constexpr double kRidge = 1e-4;
constexpr float kReach = 127;  // of 8-bit factors

float roundedToBf16(float value) {
  return codec::f32FromBf16(codec::bf16FromF32(value));
}

// Codes of a row's token and of the one before, as numbers.
void codeRow(const ScaledRows& rows, const TokenCodes& codes, size_t row, float* to) {
  const int8_t* own = codes.of(rows.tokens[row]);
  for (uint32_t i = 0; i < codes.rank; ++i) to[i] = own[i];
  const int8_t* before = rows.first[row] != 0 ? nullptr : codes.of(rows.tokens[row - 1]);
  for (uint32_t i = 0; i < codes.rank; ++i) {
    to[codes.rank + i] = before == nullptr ? 0.0f : static_cast<float>(before[i]);
  }
}

constexpr size_t kSliceRows = 1024;

// Calls with slices of rows, as [column][row] beside their codes as [code][row].
template <typename Visit>
void forEachSlice(const ScaledRows& rows, const TokenCodes& codes, Visit visit) {
  for (size_t begin = 0; begin < rows.rows.rows(); begin += kSliceRows) {
    const size_t count = std::min(kSliceRows, rows.rows.rows() - begin);
    Matrix coded(count, size_t{2} * codes.rank);
    for (size_t i = 0; i < count; ++i) codeRow(rows, codes, begin + i, coded.row(i));
    visit(turned(rows.rows.view().rowRange(begin, count)), turned(coded.view()));
  }
}

// Sets 8-bit rows with shifts from `values` [row][column]; gives the common scale.
float quantiseRows(const Matrix& values, std::vector<uint8_t>& shifts, std::vector<int8_t>& out) {
  std::vector<float> largest;
  for (size_t r = 0; r < values.rows(); ++r) {
    float most = 1e-20f;
    for (size_t c = 0; c < values.columns(); ++c) {
      most = std::max(most, std::fabs(values.row(r)[c]));
    }
    largest.push_back(most);
  }
  const float top = largest.empty() ? 1 : *std::max_element(largest.begin(), largest.end());
  const float scale = std::ldexp(top, -static_cast<int>(codec::kMaxShift)) / kReach;
  for (size_t r = 0; r < values.rows(); ++r) {
    const float need = std::ceil(std::log2(largest[r] / (scale * kReach)) - 1e-3f);
    shifts.push_back(
        static_cast<uint8_t>(std::clamp(need, 0.0f, static_cast<float>(codec::kMaxShift))));
    const float unit = std::ldexp(scale, shifts.back());
    for (size_t c = 0; c < values.columns(); ++c) {
      out.push_back(
          static_cast<int8_t>(std::clamp(std::round(values.row(r)[c] / unit), -kReach, kReach)));
    }
  }
  // Only what is needed: large shifts take range from the coefficients.
  const uint8_t least =
      shifts.empty() ? uint8_t{0} : *std::min_element(shifts.begin(), shifts.end());
  for (uint8_t& s : shifts) s = static_cast<uint8_t>(s - least);
  return std::ldexp(scale, least);
}

void subtractPrediction(ScaledRows& rows, const TokenCodes& codes, const codec::ProfileBlock& block,
                        const std::vector<uint8_t>& shifts) {
  const uint32_t rank = codes.rank;
  const uint32_t used = block.history * rank;
  Matrix maps(block.channels(), used);  // [column][code]
  for (uint32_t i = 0; i < used; ++i) {
    const float unit = std::ldexp(block.mapScale, shifts[i % rank]);
    for (uint32_t c = 0; c < block.channels(); ++c) {
      maps.row(c)[i] = unit * static_cast<float>(block.maps[size_t{i} * block.channels() + c]);
    }
  }
  for (size_t begin = 0; begin < rows.rows.rows(); begin += kSliceRows) {
    const size_t count = std::min(kSliceRows, rows.rows.rows() - begin);
    Matrix coded(count, size_t{2} * rank);
    for (size_t i = 0; i < count; ++i) codeRow(rows, codes, begin + i, coded.row(i));
    Matrix predicted(count, block.channels());
    multiplyAlone(coded.view().columnRange(0, used), maps.view(), predicted.mutableView(),
                  Accumulate::kReplace);
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

Result<CodeMaps> fitMaps(const ScaledRows& rows, const TokenCodes& codes) {
  const size_t width = size_t{2} * codes.rank;
  Matrix gram = Matrix::zeroed(width, width);
  CodeMaps out{{}, Matrix::zeroed(rows.rows.columns(), width)};
  forEachSlice(rows, codes, [&](const Matrix& values, const Matrix& coded) {
    multiplyAlone(coded.view(), coded.view(), gram.mutableView(), Accumulate::kAdd);
    multiplyAlone(values.view(), coded.view(), out.maps.mutableView(), Accumulate::kAdd);
  });
  SPOLIA_RETURN_IF_ERROR(solveRows(gram, kRidge, out.maps));
  std::vector<float> largest(codes.rank, 1e-20f);
  for (size_t c = 0; c < out.maps.rows(); ++c) {
    for (size_t i = 0; i < width; ++i) {
      float& most = largest[i % codes.rank];
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

Result<codec::ProfileBlock> learnBlock(ScaledRows& rows, const TokenCodes& codes,
                                       const CodeMaps& maps, uint32_t begin, uint32_t end,
                                       uint8_t history) {
  codec::ProfileBlock block;
  block.begin = begin;
  block.end = end;
  block.history = history;
  block.mean.assign(rows.mean.begin() + begin, rows.mean.begin() + end);
  block.scale.assign(rows.scale.begin() + begin, rows.scale.begin() + end);
  const uint32_t used = history * codes.rank;
  Matrix factors(used, block.channels());
  float most = 1e-20f;
  for (uint32_t i = 0; i < used; ++i) {
    for (uint32_t c = 0; c < block.channels(); ++c) {
      const float f = std::ldexp(maps.maps.row(begin + c)[i], -maps.shifts[i % codes.rank]);
      factors.row(i)[c] = f;
      most = std::max(most, std::fabs(f));
    }
  }
  block.mapScale = most / kReach;
  for (uint32_t i = 0; i < used; ++i) {
    for (uint32_t c = 0; c < block.channels(); ++c) {
      block.maps.push_back(static_cast<int8_t>(std::lround(factors.row(i)[c] / block.mapScale)));
    }
  }
  if (history > 0) subtractPrediction(rows, codes, block, maps.shifts);
  return block;
}

Status learnBasis(const ScaledRows& residual, float step, float leastSpread,
                  codec::ProfileBlock& block) {
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
  SPOLIA_ASSIGN_OR_RETURN(const std::vector<float> values, decompose(covariance));
  // Largest first; in whole packs, as far as one of a pack spreads enough.
  std::vector<float> spread;
  for (uint32_t j = 0; j < channels; ++j) {
    const float variance = std::max(values[channels - 1 - j], 0.0f) / static_cast<float>(count);
    spread.push_back(std::sqrt(variance) / step);
  }
  uint32_t kept = 0;
  while (kept + codec::kPackComponents <= std::min(channels, codec::kMaxBlockComponents) &&
         spread[kept] >= leastSpread) {
    kept += codec::kPackComponents;
  }
  Matrix basis(kept, channels);
  for (uint32_t j = 0; j < kept; ++j) {
    std::copy_n(covariance.row(channels - 1 - j), channels, basis.row(j));
  }
  block.shifts.clear();
  block.components.clear();
  block.classes.clear();
  block.componentScale = quantiseRows(basis, block.shifts, block.components);
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
