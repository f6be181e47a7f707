#include "engine/profile/token_codes.h"

#include <gtest/gtest.h>

#include <cmath>

#include "engine/profile/transform_learner.h"
#include "tests/support/tiny_model.h"

namespace spolia::engine {
namespace {

constexpr uint32_t kVocabulary = 40;
constexpr uint32_t kFeatures = 12;
constexpr KvShape kShape{1, 1, 8};  // 16 columns

// Rows that follow from their token, plus noise: features of the token times a map.
struct Material {
  Matrix features;
  std::vector<KvSample> samples;

  explicit Material(float noise) {
    test::Random random(1);
    features = random.matrix(kVocabulary, kFeatures, 1);
    const Matrix map = random.matrix(kShape.columns(), kFeatures, 1);
    for (int s = 0; s < 30; ++s) {
      KvSample& sample = samples.emplace_back();
      for (int t = 0; t < 50; ++t) {
        const codec::TokenId token = random.below(kVocabulary);
        sample.tokens.push_back(token);
        for (size_t c = 0; c < kShape.columns(); ++c) {
          float sum = random.uniform(-noise, noise);
          for (uint32_t f = 0; f < kFeatures; ++f) sum += features.at(token, f) * map.at(c, f);
          sample.values.push_back(sum);
        }
      }
    }
  }
};

double energy(const Matrix& rows) {
  double sum = 0;
  for (size_t r = 0; r < rows.rows(); ++r) {
    for (size_t c = 0; c < rows.columns(); ++c)
      sum += double{rows.at(r, c)} * double{rows.at(r, c)};
  }
  return sum;
}

// What the prediction of all columns leaves of their energy.
double unexplained(float noise, uint32_t rank, uint32_t wide) {
  const Material material(noise);
  ScaledRows rows = scaleRows(material.samples, kShape, std::vector<float>(kShape.columns(), 2.0f));
  const double before = energy(rows.rows);
  const TokenCodes codes =
      learnTokenCodes(material.features, rows.tokens, rows.rows, rank, wide).value();
  const CodeMaps maps = fitMaps(rows, codes, {rank, 0}).value();
  learnBlock(rows, codes, maps, 0, static_cast<uint32_t>(kShape.columns()));
  return energy(rows.rows) / before;
}

TEST(TokenCodes, EnoughNumbersTellWhatFollowsFromTheToken) {
  EXPECT_LT(unexplained(0, kFeatures, kFeatures), 1e-3);
}

TEST(TokenCodes, FewerNumbersTellLess) {
  const double four = unexplained(0, 4, 4);
  EXPECT_GT(four, 0.05);
  EXPECT_LT(four, 0.7);
  EXPECT_LT(unexplained(0, 8, 8), four);
}

TEST(TokenCodes, NarrowNumbersTellNearlyAsMuch) {
  const double wide = unexplained(0, kFeatures, kFeatures);
  const double narrow = unexplained(0, kFeatures, 0);
  EXPECT_GT(narrow, wide);
  EXPECT_LT(narrow, 0.03);
}

TEST(TokenCodes, NoiseStays) {
  // Of a uniform noise as wide as this the variance is a third of its square; that of the rows is
  // about kFeatures / 9.
  const double left = unexplained(1, kFeatures, kFeatures);
  EXPECT_NEAR(left, (1.0 / 3) / (kFeatures / 9.0 + 1.0 / 3), 0.06);
}

TEST(TokenCodes, NumbersStayWithinTheirBits) {
  const Material material(0.5f);
  const ScaledRows rows =
      scaleRows(material.samples, kShape, std::vector<float>(kShape.columns(), 1.0f));
  const TokenCodes codes =
      learnTokenCodes(material.features, rows.tokens, rows.rows, 10, 3).value();
  ASSERT_EQ(codes.codes.size(), kVocabulary * 10u);
  for (uint32_t token = 0; token < kVocabulary; ++token) {
    for (uint32_t i = 3; i < 10; ++i) EXPECT_LE(std::abs(codes.of(token)[i]), 7);
  }
}

HeadMetrics noMetrics() {
  return {kShape.headDim, std::vector<const MetricRoot*>(kShape.columns() / kShape.headDim)};
}

// A component as it is multiplied with coefficients.
std::vector<double> componentOf(const codec::ProfileBlock& block, uint32_t j) {
  std::vector<double> out;
  for (uint32_t c = 0; c < block.channels(); ++c) {
    out.push_back(std::ldexp(double{block.componentScale}, block.shifts[j]) *
                  block.components[size_t{j} * block.channels() + c]);
  }
  return out;
}

TEST(TransformLearner, ABasisTakesUpMostOfTheEnergyInItsFirstComponents) {
  const Material material(0.01f);
  ScaledRows rows = scaleRows(material.samples, kShape, std::vector<float>(kShape.columns(), 1.0f));
  codec::ProfileBlock block;
  block.end = static_cast<uint32_t>(kShape.columns());
  ASSERT_TRUE(learnBasis(rows, noMetrics(), 0.05f, 0.25f, block).ok());
  // Twelve features span twelve directions; the noise of the others is far below the step.
  EXPECT_EQ(block.componentCount(), kFeatures);
  EXPECT_TRUE(std::is_sorted(block.classes.rbegin(), block.classes.rend()));
  for (uint32_t j = 0; j < block.componentCount(); ++j) {
    double length = 0;
    for (const double v : componentOf(block, j)) length += v * v;
    EXPECT_NEAR(length, 1, 0.02);
  }
}

// Rows of components that spread little have fewer digits.
TEST(TransformLearner, RowsAreAsPreciseAsTheirComponentsNeed) {
  const Material material(0.01f);
  ScaledRows rows = scaleRows(material.samples, kShape, std::vector<float>(kShape.columns(), 1.0f));
  for (const float step : {0.01f, 3.0f}) {
    codec::ProfileBlock block;
    block.end = static_cast<uint32_t>(kShape.columns());
    ASSERT_TRUE(learnBasis(rows, noMetrics(), step, 0, block).ok());
    for (uint32_t j = 0; j < block.componentCount(); ++j) {
      const auto first = block.components.begin() + size_t{j} * block.channels();
      const bool eighths =
          std::all_of(first, first + block.channels(), [](int8_t v) { return v % 8 == 0; });
      const int spread = block.classes[j / codec::kPackComponents] - codec::kUnitClass;
      if (spread < -2 || spread > 10) {
        EXPECT_EQ(eighths, spread < -2) << step << " " << j;
      }
    }
  }
}

// With a metric M of a head, errors e count as e' M e: the components are orthonormal in that.
TEST(TransformLearner, ComponentsAreOrthonormalInTheMetric) {
  const Material material(0.3f);
  ScaledRows rows = scaleRows(material.samples, kShape, std::vector<float>(kShape.columns(), 1.0f));
  Matrix metric = Matrix::zeroed(kShape.headDim, kShape.headDim);
  for (uint32_t i = 0; i < kShape.headDim; ++i) {
    metric.at(i, i) = 0.3f + 0.4f * static_cast<float>(i);
    if (i > 0) metric.at(i, i - 1) = metric.at(i - 1, i) = 0.15f;
  }
  const MetricRoot root = rootOf(metric).value();
  HeadMetrics metrics = noMetrics();
  metrics.roots[1] = &root;
  codec::ProfileBlock block;
  block.end = static_cast<uint32_t>(kShape.columns());
  ASSERT_TRUE(learnBasis(rows, metrics, 0.001f, 0, block).ok());
  ASSERT_EQ(block.componentCount(), block.channels() / 4 * 4);
  const auto product = [&](const std::vector<double>& a, const std::vector<double>& b) {
    double sum = 0;
    for (uint32_t c = 0; c < block.channels(); ++c) {
      if (c / kShape.headDim != 1) {
        sum += a[c] * b[c];
        continue;
      }
      for (uint32_t d = 0; d < kShape.headDim; ++d) {
        sum += a[c] * double{metric.at(c % kShape.headDim, d)} * b[kShape.headDim + d];
      }
    }
    return sum;
  };
  for (uint32_t j = 0; j < block.componentCount(); ++j) {
    for (uint32_t k = 0; k <= j; ++k) {
      EXPECT_NEAR(product(componentOf(block, j), componentOf(block, k)), j == k ? 1 : 0, 0.05);
    }
  }
}

TEST(TransformLearner, SensitiveColumnsAreScaledUp) {
  const Material material(0.1f);
  std::vector<float> sensitivity(kShape.columns(), 1.0f);
  sensitivity[3] = 16;
  const ScaledRows rows = scaleRows(material.samples, kShape, sensitivity);
  EXPECT_NEAR(rows.scale[2] / rows.scale[3], 4, 0.05);
  double mean = 0;
  for (size_t r = 0; r < rows.rows.rows(); ++r) mean += double{rows.rows.at(r, 3)};
  EXPECT_NEAR(mean / static_cast<double>(rows.rows.rows()), 0, 0.05);
}

}  // namespace
}  // namespace spolia::engine
