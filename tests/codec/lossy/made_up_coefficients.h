// Made-up coefficients of some groups of components, as test input.
#pragma once

#include <algorithm>
#include <cmath>
#include <random>
#include <utility>
#include <vector>

#include "codec/lossy/coefficient_coder.h"

namespace spolia::codec {

// Coefficients of some groups, as a block has them: [token][group][component].
struct Coefficients {
  uint32_t tokens = 0;
  std::vector<uint8_t> classes;
  std::vector<int16_t> values;

  Coefficients(uint32_t tokenCount, std::vector<uint8_t> groupClasses)
      : tokens(tokenCount),
        classes(std::move(groupClasses)),
        values(size_t{tokens} * classes.size() * kPackComponents) {}

  std::vector<CoefficientGroup> groups() {
    std::vector<CoefficientGroup> out;
    for (size_t g = 0; g < classes.size(); ++g) {
      out.push_back(
          {values.data() + g * kPackComponents, classes.size() * kPackComponents, classes[g]});
    }
    return out;
  }
  Bytes written(CoefficientPart part, const PreparedTables& tables = builtInPrepared()) {
    ByteWriter out;
    CoefficientScratch scratch;
    writeCoefficients(groups(), tokens, part, tables, scratch, out);
    return out.take();
  }
  Status read(ByteSpan bytes, CoefficientPart part, int16_t scale = 1,
              const PreparedTables& tables = builtInPrepared()) {
    ByteReader in(bytes);
    CoefficientScratch scratch;
    return readCoefficients(in, groups(), tokens, part, scale, tables, scratch);
  }
};

inline std::vector<uint8_t> anyClasses(size_t groups, std::mt19937& random) {
  std::vector<uint8_t> out(groups);
  for (uint8_t& c : out) c = static_cast<uint8_t>(random() % kStepClasses);
  return out;
}

// About as wide as their classes; one in `wildOneIn` is anything.
inline void fillWhole(Coefficients& to, uint32_t wildOneIn, std::mt19937& random) {
  std::normal_distribution<double> normal;
  for (size_t i = 0; i < to.values.size(); ++i) {
    const int32_t above = to.classes[i / kPackComponents % to.classes.size()] - kUnitClass;
    const bool wild = wildOneIn > 0 && random() % wildOneIn == 0;
    const double v = wild ? static_cast<int32_t>(random() % 16383) - kMaxCoefficient
                          : normal(random) * std::exp2(above / 4.0);
    to.values[i] = static_cast<int16_t>(std::clamp(std::lround(v), -8191L, 8191L));
  }
}

inline void fillFine(Coefficients& to, std::mt19937& random) {
  for (int16_t& v : to.values) v = static_cast<int16_t>(static_cast<int32_t>(random() % 3) - 1);
}

inline Coefficients sampleOf(uint32_t tokens, uint32_t groups, uint32_t wildOneIn, uint32_t seed) {
  std::mt19937 random(seed);
  Coefficients out(tokens, anyClasses(groups, random));
  fillWhole(out, wildOneIn, random);
  return out;
}

}  // namespace spolia::codec
