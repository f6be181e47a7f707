// How KVTC turns coefficients into levels of a few bits. Any thread.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace spolia::bench {

// Least value and step of a group of one token: level 0 is the least, the last level the largest.
struct RangeLevels {
  float least = 0;
  float step = 0;

  RangeLevels() = default;
  RangeLevels(std::span<const float> values, unsigned bits) {
    least = *std::ranges::min_element(values);
    step = (*std::ranges::max_element(values) - least) / static_cast<float>((1u << bits) - 1);
  }
  uint8_t levelOf(float value, unsigned bits) const {
    const float level = step > 0 ? std::round((value - least) / step) : 0;
    return static_cast<uint8_t>(std::clamp(level, 0.0f, static_cast<float>((1u << bits) - 1)));
  }
  float valueOf(uint8_t level) const { return least + step * static_cast<float>(level); }
};

// Levels symmetric around zero, the value in the middle of each; what lies beyond gets the last.
struct CentredLevels {
  float step = 0;

  uint8_t levelOf(float value, unsigned bits) const {
    const auto half = static_cast<float>(1u << (bits - 1));
    const float level = step > 0 ? std::floor(value / step) + half : half;
    return static_cast<uint8_t>(std::clamp(level, 0.0f, 2 * half - 1));
  }
  float valueOf(uint8_t level, unsigned bits) const {
    return (static_cast<float>(level) - static_cast<float>(1u << (bits - 1)) + 0.5f) * step;
  }
  double errorOf(float value, unsigned bits) const {
    const double error = value - valueOf(levelOf(value, bits), bits);
    return error * error;
  }

  // The step of the least squared error over `values`.
  static CentredLevels bestFor(std::span<const float> values, unsigned bits) {
    double squares = 0;
    for (const float value : values) squares += double{value} * value;
    const double deviation = std::sqrt(squares / static_cast<double>(values.size()));
    CentredLevels best;
    double least = std::numeric_limits<double>::infinity();
    for (double reach = 0.8; reach < 8; reach *= 1.2) {
      const CentredLevels tried{static_cast<float>(reach * deviation / (1u << (bits - 1)))};
      double error = 0;
      for (const float value : values) error += tried.errorOf(value, bits);
      if (error < least) least = error, best = tried;
    }
    return best;
  }
};

}  // namespace spolia::bench
