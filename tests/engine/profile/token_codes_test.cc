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

TEST(TransformLearner, ABasisTakesUpMostOfTheEnergyInItsFirstComponents) {
  const Material material(0.01f);
  ScaledRows rows = scaleRows(material.samples, kShape, std::vector<float>(kShape.columns(), 1.0f));
  codec::ProfileBlock block;
  block.end = static_cast<uint32_t>(kShape.columns());
  ASSERT_TRUE(learnBasis(rows, 0.05f, {0.25f}, block).ok());
  // Twelve features span twelve directions; the noise of the others is far below the step.
  EXPECT_EQ(block.componentCount(), kFeatures);
  EXPECT_TRUE(std::is_sorted(block.classes.rbegin(), block.classes.rend()));
  for (uint32_t j = 0; j < block.componentCount(); ++j) {
    double length = 0;
    for (uint32_t c = 0; c < block.channels(); ++c) {
      const double v = std::ldexp(double{block.componentScale}, block.shifts[j]) *
                       block.components[j * block.channels() + c];
      length += v * v;
    }
    EXPECT_NEAR(length, 1, 0.02);
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
