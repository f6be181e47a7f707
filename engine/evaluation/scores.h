// What an evaluation says: shares of right answers with 95 % intervals, and what each method loses
// against `full` on the same worlds. Value types; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/evaluation/evaluator.h"

namespace spolia::engine {

struct Interval {
  double low = 0;
  double high = 0;
};

// Wilson's score interval of 95 % for a share of `right` in `count` (count > 0), within [0, 1].
Interval wilsonInterval(uint64_t right, uint64_t count);

// 95 % interval of a paired difference: `lost` worlds of `count` were right in the first variant
// only, `won` in the second only. Wald's with half a world added to each of the four cells (Agresti
// and Min, 2005), which keeps it honest where the differences are few.
Interval pairedInterval(uint64_t lost, uint64_t won, uint64_t count);

// Which worlds of a family: all, or those whose dependent sentence begins inside or beyond the
// first k rows of its chunk.
enum class Part : uint8_t { kAll, kInside, kBeyond };
std::string_view partName(Part part);

struct Score {
  std::string family;
  Part part = Part::kAll;
  size_t variant = 0;  // index in Evaluation::variants
  uint64_t worlds = 0;
  uint64_t right = 0;
  Interval interval;
  double loss = 0;  // share of `full` minus this one's
  Interval lossInterval;
  double rowsShare = 0;      // of the prompts' rows, computed; mean over the worlds
  uint64_t storedBytes = 0;  // as in Trial, of all worlds
  uint64_t fp16Bytes = 0;

  double share() const { return static_cast<double>(right) / static_cast<double>(worlds); }
};

// Scores by family (in order of appearance), part and variant; none without worlds.
std::vector<Score> scoresOf(const Evaluation& evaluation, uint32_t k);

// The largest loss of this variant against `full` over all families, among the worlds inside the
// first k rows (all worlds where none tells its place); 0 when it loses nowhere.
double largestLoss(const std::vector<Score>& scores, size_t variant);

}  // namespace spolia::engine
