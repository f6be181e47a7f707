#include "codec/lossy/pseudo_inverse.h"

#include <cmath>
#include <cstddef>

namespace spolia::codec {
namespace {

// Of the mean square of a row: what is added to squares so that dependent rows do no harm. Rows are
// rounded to 8 bits, which disturbs them by more.
constexpr float kRidge = 1e-6f;

float dot(const float* a, const float* b, uint32_t count) {
  // Partial sums that compilers keep in a vector.
  float sums[16] = {};
  uint32_t i = 0;
  for (; i + 16 <= count; i += 16) {
    for (uint32_t k = 0; k < 16; ++k) sums[k] += a[i + k] * b[i + k];
  }
  float sum = 0;
  for (; i < count; ++i) sum += a[i] * b[i];
  for (float s : sums) sum += s;
  return sum;
}

void subtractScaled(const float* from, float factor, uint32_t count, float* to) {
  for (uint32_t i = 0; i < count; ++i) to[i] -= factor * from[i];
}

// Lower triangle L of L L' = the products of all pairs of rows, plus the ridge; [row][row].
std::vector<float> cholesky(const std::vector<float>& rows, uint32_t count, uint32_t channels) {
  std::vector<float> lower(size_t{count} * count);
  float squares = 0;
  for (uint32_t i = 0; i < count; ++i) {
    const float* row = rows.data() + size_t{i} * channels;
    for (uint32_t j = 0; j <= i; ++j) {
      lower[size_t{i} * count + j] = dot(row, rows.data() + size_t{j} * channels, channels);
    }
    squares += lower[size_t{i} * count + i];
  }
  const float ridge = std::fmax(kRidge * squares / static_cast<float>(count), 1e-30f);
  for (uint32_t i = 0; i < count; ++i) {
    float* row = lower.data() + size_t{i} * count;
    for (uint32_t j = 0; j < i; ++j) {
      const float* other = lower.data() + size_t{j} * count;
      row[j] = (row[j] - dot(row, other, j)) / other[j];
    }
    row[i] = std::sqrt(std::fmax(row[i] + ridge - dot(row, row, i), ridge));
  }
  return lower;
}

}  // namespace

std::vector<float> leastSquaresFactors(const std::vector<float>& rows, uint32_t count,
                                       uint32_t channels) {
  const std::vector<float> lower = cholesky(rows, count, channels);
  std::vector<float> solved = rows;
  const auto row = [&](uint32_t i) { return solved.data() + size_t{i} * channels; };
  const auto divide = [&](uint32_t i) {
    const float inverse = 1 / lower[size_t{i} * count + i];
    for (uint32_t c = 0; c < channels; ++c) row(i)[c] *= inverse;
  };
  for (uint32_t i = 0; i < count; ++i) {
    for (uint32_t j = 0; j < i; ++j) {
      subtractScaled(row(j), lower[size_t{i} * count + j], channels, row(i));
    }
    divide(i);
  }
  for (uint32_t i = count; i-- > 0;) {
    divide(i);
    for (uint32_t j = 0; j < i; ++j) {
      subtractScaled(row(i), lower[size_t{i} * count + j], channels, row(j));
    }
  }
  std::vector<float> out(solved.size());
  for (uint32_t i = 0; i < count; ++i) {
    for (uint32_t c = 0; c < channels; ++c) out[size_t{c} * count + i] = row(i)[c];
  }
  return out;
}

}  // namespace spolia::codec
