// Curves of size against damage, and what a scheme saves within a budget of damage. Values; any
// thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace spolia::bench {

struct RatePoint {
  double quality = 0;  // the scheme's own parameter
  uint64_t bytes = 0;  // of all passages
  double ratio = 0;    // bytes of the fp16 cache by `bytes`
  double kl = 0;
  double top1 = 0;
};

struct RateCurve {
  std::string scheme;
  std::vector<RatePoint> points;
};

// Damage that is put up with.
struct Budget {
  double kl = 0;
  double top1 = 0;

  bool holds(const RatePoint& point) const { return point.kl <= kl && point.top1 >= top1; }
};

struct BudgetRatio {
  double ratio = 0;
  bool crossed = false;  // between two measured points; else the smallest measured size
};

// The largest ratio within the budget: between the smallest point within it and the next smaller
// one, which is not, interpolated with the logarithms of ratio and KL, and linearly in the
// agreement; the earlier of the two counts. None when no point is within.
std::optional<BudgetRatio> ratioWithin(std::span<const RatePoint> points, const Budget& budget);

}  // namespace spolia::bench
