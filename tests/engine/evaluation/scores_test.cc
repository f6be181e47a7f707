#include "engine/evaluation/scores.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "engine/evaluation/accuracy_plot.h"
#include "engine/evaluation/eval_report.h"
#include "tests/support/temporary_directory.h"

namespace spolia::engine {
namespace {

WorldResult worldOf(const std::string& family, uint32_t row, bool full, bool linked) {
  WorldResult out{family, row, {}};
  out.trials.push_back({"", full, 100, 100});
  out.trials.push_back({"", linked, 100, 20});
  return out;
}

Evaluation sample() {
  Evaluation out;
  out.variants = {{{LinkMethod::kFull, 0, "full"}, "-"},
                  {{LinkMethod::kFirstK, 16, "first-k"}, "high"}};
  out.worlds = {worldOf("b", 0, true, true),   worldOf("b", 8, true, true),
                worldOf("b", 16, true, false), worldOf("b", 40, false, true),
                worldOf("b", 48, true, false), worldOf("a", 15, true, false)};
  return out;
}

const Score& find(const std::vector<Score>& scores, const std::string& family, Part part,
                  size_t variant) {
  for (const Score& score : scores) {
    if (score.family == family && score.part == part && score.variant == variant) return score;
  }
  throw std::runtime_error("no such score");
}

TEST(Scores, AreCountedByFamilyAndPart) {
  const auto scores = scoresOf(sample(), 16);
  const Score& all = find(scores, "b", Part::kAll, 1);
  EXPECT_EQ(all.worlds, 5u);
  EXPECT_EQ(all.right, 3u);
  EXPECT_DOUBLE_EQ(all.loss, 0.2);  // 4 right against 3, of 5
  EXPECT_DOUBLE_EQ(all.rowsShare, 0.2);
  EXPECT_EQ(find(scores, "b", Part::kInside, 1).worlds, 2u);
  EXPECT_EQ(find(scores, "b", Part::kInside, 1).right, 2u);
  EXPECT_EQ(find(scores, "b", Part::kBeyond, 1).worlds, 3u);
  EXPECT_EQ(find(scores, "b", Part::kBeyond, 1).right, 1u);
  EXPECT_EQ(scores.front().family, "b");
  // Family "a" has nothing beyond: no score rather than 0 of 0.
  EXPECT_THROW(find(scores, "a", Part::kBeyond, 1), std::runtime_error);
}

TEST(Scores, BytesOfAFamilyAreSummed) {
  Evaluation evaluation = sample();
  for (size_t i = 0; i < evaluation.worlds.size(); ++i) {
    evaluation.worlds[i].trials[1].storedBytes = i + 1;
    evaluation.worlds[i].trials[1].fp16Bytes = 10;
  }
  const auto scores = scoresOf(evaluation, 16);
  EXPECT_EQ(find(scores, "b", Part::kAll, 1).storedBytes, 1u + 2 + 3 + 4 + 5);
  EXPECT_EQ(find(scores, "b", Part::kInside, 1).storedBytes, 1u + 2);
  EXPECT_EQ(find(scores, "b", Part::kAll, 1).fp16Bytes, 50u);
  EXPECT_EQ(find(scores, "b", Part::kAll, 0).storedBytes, 0u);
}

TEST(Scores, LargestLossIsAmongTheWorldsInside) {
  const auto scores = scoresOf(sample(), 16);
  EXPECT_DOUBLE_EQ(largestLoss(scores, 1), 1.0);  // family "a": 1 against 0
  Evaluation unplaced = sample();
  unplaced.worlds.pop_back();
  for (WorldResult& world : unplaced.worlds) world.row.reset();
  EXPECT_DOUBLE_EQ(largestLoss(scoresOf(unplaced, 16), 1), 0.2);
}

// The ends of Wilson's interval are the shares p with |share - p| = z sqrt(p (1 - p) / n).
TEST(Scores, WilsonInterval) {
  constexpr double kZ = 1.959964;
  for (const auto& [right, count] : {std::pair{95, 100}, {1, 7}, {1990, 2000}}) {
    const double share = static_cast<double>(right) / count;
    const Interval interval = wilsonInterval(right, count);
    for (const double p : {interval.low, interval.high}) {
      EXPECT_NEAR(std::abs(share - p), kZ * std::sqrt(p * (1 - p) / count), 1e-6);
    }
    EXPECT_LT(interval.low, share);
    EXPECT_GT(interval.high, share);
  }
  EXPECT_DOUBLE_EQ(wilsonInterval(0, 10).low, 0.0);
  EXPECT_NEAR(wilsonInterval(0, 10).high, kZ * kZ / (10 + kZ * kZ), 1e-6);
  EXPECT_LE(wilsonInterval(10, 10).high, 1.0);
}

// Coverage by exact summation over the multinomial: the interval has to hold the true difference in
// about 95 % of all samples, also when disagreements are rare.
TEST(Scores, PairedIntervalCovers) {
  constexpr int kCount = 200;
  const auto logFactorial = [](int n) { return std::lgamma(n + 1.0); };
  for (const auto& [lost, won] : {std::pair{0.01, 0.01}, {0.05, 0.0}, {0.2, 0.05}}) {
    double covered = 0;
    for (int b = 0; b <= kCount; ++b) {
      for (int c = 0; won == 0 ? c == 0 : b + c <= kCount; ++c) {
        const double log = logFactorial(kCount) - logFactorial(b) - logFactorial(c) -
                           logFactorial(kCount - b - c) + b * std::log(lost) +
                           (c == 0 ? 0 : c * std::log(won)) +
                           (kCount - b - c) * std::log1p(-lost - won);
        const Interval interval = pairedInterval(b, c, kCount);
        const double truth = lost - won;
        if (interval.low <= truth && truth <= interval.high) covered += std::exp(log);
      }
    }
    EXPECT_GT(covered, 0.93) << lost << " " << won;
    EXPECT_LT(covered, 1.0 - 1e-6) << lost << " " << won;
  }
}

TEST(Scores, TableAndJsonSayTheSame) {
  const Evaluation evaluation = sample();
  const auto scores = scoresOf(evaluation, 16);
  const std::string table = scoreTable(evaluation, scores);
  EXPECT_NE(table.find("60.0 (5)"), std::string::npos) << table;
  EXPECT_NE(table.find("20.0 [-"), std::string::npos) << table;
  const auto json = scoreJson(evaluation, scores, 16);
  EXPECT_EQ(json["k"], 16);
  EXPECT_EQ(json["scores"].size(), scores.size());
  EXPECT_EQ(json["scores"][1]["share"], 0.6);
}

TEST(AccuracyPlot, CurvesRunFromTheLeastRowsToFull) {
  Evaluation evaluation = sample();
  const auto curves = curvesOf(evaluation, scoresOf(evaluation, 16));
  ASSERT_EQ(curves.size(), 2u);
  EXPECT_EQ(curves[0].name, "b, high");
  ASSERT_EQ(curves[0].points.size(), 2u);
  EXPECT_EQ(curves[0].points[0].label, "first-k");
  EXPECT_DOUBLE_EQ(curves[0].points[0].x, 0.2);
  EXPECT_EQ(curves[0].points[1].label, "full");
  EXPECT_DOUBLE_EQ(curves[0].points[1].x, 1.0);
}

TEST(AccuracyPlot, WritesAPngAndNamesAPathThatCannotBeWritten) {
  const ::spolia::test::TemporaryDirectory directory;
  const Evaluation evaluation = sample();
  const auto curves = curvesOf(evaluation, scoresOf(evaluation, 16));
  const auto path = directory.path() / "plot.png";
  ASSERT_TRUE(writePlot(curves, "title", path).ok());
  std::ifstream file(path, std::ios::binary);
  std::string head(8, 0);
  file.read(head.data(), 8);
  EXPECT_EQ(head, "\x89PNG\r\n\x1a\n");
  EXPECT_GT(std::filesystem::file_size(path), 5000u);
  const Status failed = writePlot(curves, "title", directory.path() / "none" / "plot.png");
  EXPECT_EQ(failed.code(), ErrorCode::kIoError);
  EXPECT_NE(failed.message().find("none/plot.png"), std::string::npos);
}

}  // namespace
}  // namespace spolia::engine
