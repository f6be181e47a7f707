// KV that looks a little like the real thing: few directions carry most of it, channels differ in
// mean and scale, tokens follow each other slowly. The same on every machine.
#pragma once

#include <cstdint>
#include <vector>

#include "bench/codec/quality/judging.h"
#include "codec/values/half.h"
#include "tests/support/tiny_model.h"

namespace spolia::bench {

inline constexpr KvShape kMadeUpShape{3, 2, 8};

inline std::vector<KvSample> madeUpSamples(size_t count, size_t tokens, uint64_t seed) {
  constexpr size_t kDirections = 6;
  const size_t columns = kMadeUpShape.columns();
  engine::test::Random fixed(7), random(seed);
  std::vector<float> directions(kDirections * columns), mean(columns);
  for (float& value : directions) value = fixed.uniform(-1, 1);
  for (float& value : mean) value = fixed.uniform(-4, 4);
  std::vector<KvSample> samples(count);
  for (KvSample& sample : samples) {
    std::vector<float> state(kDirections);
    for (size_t t = 0; t < tokens; ++t) {
      sample.tokens.push_back(random.below(200));
      for (float& s : state) s = 0.7f * s + random.uniform(-1, 1);
      for (size_t c = 0; c < columns; ++c) {
        float value = mean[c] + random.uniform(-0.05f, 0.05f);
        for (size_t d = 0; d < kDirections; ++d) value += state[d] * directions[d * columns + c];
        sample.values.push_back(codec::f32FromF16(codec::f16FromF32(value)));
      }
    }
  }
  return samples;
}

// Mean squared error.
inline double errorBetween(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += (double{a[i]} - b[i]) * (double{a[i]} - b[i]);
  return sum / static_cast<double>(a.size());
}

}  // namespace spolia::bench
