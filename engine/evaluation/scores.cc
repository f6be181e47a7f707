#include "engine/evaluation/scores.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace spolia::engine {

namespace {

constexpr double kZ = 1.959963984540054;  // 97.5 % quantile of the normal distribution

bool belongs(const WorldResult& world, Part part, uint32_t k) {
  if (part == Part::kAll) return true;
  return world.row && (*world.row < k) == (part == Part::kInside);
}

Score scoreOf(const std::vector<const WorldResult*>& worlds, size_t variant) {
  Score score;
  score.variant = variant;
  score.worlds = worlds.size();
  uint64_t lost = 0, won = 0;
  for (const WorldResult* world : worlds) {
    const Trial& trial = world->trials[variant];
    const bool full = world->trials[0].right;
    score.right += trial.right;
    lost += full && !trial.right;
    won += !full && trial.right;
    score.rowsShare += static_cast<double>(trial.rowsComputed) / trial.rows;
    score.storedBytes += trial.storedBytes;
    score.fp16Bytes += trial.fp16Bytes;
  }
  const double count = static_cast<double>(score.worlds);
  score.rowsShare /= count;
  score.interval = wilsonInterval(score.right, score.worlds);
  score.loss = (static_cast<double>(lost) - static_cast<double>(won)) / count;
  score.lossInterval = pairedInterval(lost, won, score.worlds);
  return score;
}

}  // namespace

Interval wilsonInterval(uint64_t right, uint64_t count) {
  const double n = static_cast<double>(count), share = static_cast<double>(right) / n;
  const double z2 = kZ * kZ, scale = 1 + z2 / n;
  const double middle = (share + z2 / (2 * n)) / scale;
  const double half = kZ * std::sqrt((share * (1 - share) + z2 / (4 * n)) / n) / scale;
  return {std::max(0.0, middle - half), std::min(1.0, middle + half)};
}

Interval pairedInterval(uint64_t lost, uint64_t won, uint64_t count) {
  const double n = static_cast<double>(count) + 2;
  const double b = static_cast<double>(lost) + 0.5, c = static_cast<double>(won) + 0.5;
  const double middle = (b - c) / n;
  const double half = kZ * std::sqrt((b + c - (b - c) * (b - c) / n)) / n;
  return {middle - half, middle + half};
}

std::string_view partName(Part part) {
  constexpr std::array<std::string_view, 3> kNames = {"all", "inside", "beyond"};
  return kNames[static_cast<size_t>(part)];
}

std::vector<Score> scoresOf(const Evaluation& evaluation, uint32_t k) {
  std::vector<std::string> families;
  for (const WorldResult& world : evaluation.worlds) {
    if (std::ranges::count(families, world.family) == 0) families.push_back(world.family);
  }
  std::vector<Score> out;
  for (const std::string& family : families) {
    for (const Part part : {Part::kAll, Part::kInside, Part::kBeyond}) {
      std::vector<const WorldResult*> worlds;
      for (const WorldResult& world : evaluation.worlds) {
        if (world.family == family && belongs(world, part, k)) worlds.push_back(&world);
      }
      for (size_t variant = 0; !worlds.empty() && variant < evaluation.variants.size(); ++variant) {
        out.push_back(scoreOf(worlds, variant));
        out.back().family = family;
        out.back().part = part;
      }
    }
  }
  return out;
}

double largestLoss(const std::vector<Score>& scores, size_t variant) {
  const bool split =
      std::ranges::any_of(scores, [](const Score& s) { return s.part == Part::kInside; });
  double largest = 0;
  for (const Score& score : scores) {
    if (score.variant == variant && score.part == (split ? Part::kInside : Part::kAll)) {
      largest = std::max(largest, score.loss);
    }
  }
  return largest;
}

}  // namespace spolia::engine
