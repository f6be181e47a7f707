// Every target gives what the plain formulas give, for any counts.
#include "codec/lossy/transform_rows.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "codec/entropy/simd_targets.h"

namespace spolia::codec {
namespace {

constexpr float kGuard = 1234.5f;

class TransformRowsTest : public ::testing::TestWithParam<std::string> {
 private:
  ForcedSimdTarget target_{GetParam()};
};

TEST_P(TransformRowsTest, ProjectsLikeTheFormula) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  for (int round = 0; round < 600; ++round) {
    const uint32_t channels = 1 + random() % 90;
    const uint32_t count = random() % 70;
    const size_t toStride = count + kProjectPadding + random() % 3;
    std::vector<float> from(kTileTokens * channels);
    std::vector<float> columns(size_t{channels} * count + kProjectPadding);
    for (float& v : from) v = normal(random);
    for (float& v : columns) v = normal(random);
    std::vector<float> to(kTileTokens * toStride + 1, kGuard);
    project(from.data(), channels, columns.data(), count, to.data(), toStride);
    ASSERT_EQ(to.back(), kGuard);
    for (uint32_t t = 0; t < kTileTokens; ++t) {
      for (uint32_t j = 0; j < count; ++j) {
        double sum = 0;
        double most = 0;
        for (uint32_t c = 0; c < channels; ++c) {
          const double term = double{from[t * channels + c]} * columns[c * count + j];
          sum += term;
          most += std::abs(term);
        }
        ASSERT_NEAR(to[t * toStride + j], sum, most * 1e-5);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, TransformRowsTest, ::testing::ValuesIn(simdTargets()),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace spolia::codec
