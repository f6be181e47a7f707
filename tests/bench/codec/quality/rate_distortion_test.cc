#include "bench/codec/quality/rate_distortion.h"

#include <gtest/gtest.h>

#include <cmath>

#include "bench/codec/rate_distortion_plot.h"

namespace spolia::bench {
namespace {

RatePoint point(double ratio, double kl, double top1) {
  return {1, 1000, ratio, kl, top1};
}

TEST(RateDistortionTest, InterpolatesWithLogarithms) {
  const std::vector<RatePoint> points = {point(8, 0.01, 0.99), point(2, 0.0001, 1)};
  const auto found = ratioWithin(points, {0.001, 0.97});
  ASSERT_TRUE(found.has_value());
  EXPECT_NEAR(found->ratio, 4, 1e-9);  // half way in both logarithms
  EXPECT_TRUE(found->crossed);
}

TEST(RateDistortionTest, AgreementMayEndItFirst) {
  const std::vector<RatePoint> points = {point(2, 0.0001, 1), point(8, 0.01, 0.90)};
  EXPECT_NEAR(ratioWithin(points, {0.001, 0.975})->ratio, 2 * std::pow(4, 0.25), 1e-9);
  const std::vector<RatePoint> onlyAgreement = {point(2, 0.0001, 1), point(8, 0.0002, 0.90)};
  EXPECT_NEAR(ratioWithin(onlyAgreement, {0.001, 0.95})->ratio, 4, 1e-9);
}

TEST(RateDistortionTest, EndsOfTheSweep) {
  const std::vector<RatePoint> fine = {point(2, 0, 1)};
  EXPECT_EQ(ratioWithin(fine, {0.001, 0.97})->ratio, 2);
  EXPECT_FALSE(ratioWithin(fine, {0.001, 0.97})->crossed);
  const std::vector<RatePoint> bad = {point(2, 0.5, 0.3)};
  EXPECT_FALSE(ratioWithin(bad, {0.001, 0.97}).has_value());
  EXPECT_FALSE(ratioWithin({}, {0.001, 0.97}).has_value());
  const std::vector<RatePoint> exactThenBad = {point(2, 0, 1), point(3, 0.1, 0.9)};
  EXPECT_GT(ratioWithin(exactThenBad, {0.001, 0.97})->ratio, 2);
}

TEST(RateDistortionTest, PlotIsWritten) {
  const std::filesystem::path folder =
      std::filesystem::path(testing::TempDir()) / "rate_distortion_test";
  std::filesystem::remove_all(folder);
  std::vector<RateCurve> curves;
  for (int i = 0; i < 9; ++i) {
    curves.push_back({"scheme", {point(0.7, 0, 1), point(2 + i, 0.0001, 1), point(70, 2, 0.1)}});
  }
  ASSERT_TRUE(plotRateDistortion(curves, 0.003, folder / "report" / "curves.png").ok());
  EXPECT_GT(std::filesystem::file_size(folder / "report" / "curves.png"), 1000u);
  ASSERT_TRUE(plotRateDistortion({}, 0.003, folder / "none.png").ok());
  EXPECT_FALSE(plotRateDistortion(curves, 0.003, folder / "none.png" / "x.png").ok());
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace spolia::bench
