#include "bench/codec/quality/rate_distortion.h"

#include <algorithm>
#include <cmath>

namespace spolia::bench {

namespace {

// KL of what is exact: far below anything that is looked at, and it has a logarithm.
constexpr double kLeastKl = 1e-9;

double logKl(double kl) {
  return std::log(std::max(kl, kLeastKl));
}

// How far from `from` to `to`, 0 to 1, the limit is met; 1 when it is not.
double shareTo(double from, double to, double limit) {
  return from == to ? 1 : std::clamp((limit - from) / (to - from), 0.0, 1.0);
}

}  // namespace

std::optional<BudgetRatio> ratioWithin(std::span<const RatePoint> points, const Budget& budget) {
  std::vector<RatePoint> sorted(points.begin(), points.end());
  std::ranges::stable_sort(sorted, {}, &RatePoint::ratio);
  const auto last = std::find_if(sorted.rbegin(), sorted.rend(),
                                 [&](const RatePoint& point) { return budget.holds(point); });
  if (last == sorted.rend()) return std::nullopt;
  if (last == sorted.rbegin()) return BudgetRatio{last->ratio, false};
  const RatePoint& in = *last;
  const RatePoint& out = *(last - 1);
  double share = 1;
  if (out.kl > budget.kl) share = shareTo(logKl(in.kl), logKl(out.kl), logKl(budget.kl));
  if (out.top1 < budget.top1) share = std::min(share, shareTo(in.top1, out.top1, budget.top1));
  return BudgetRatio{in.ratio * std::pow(out.ratio / in.ratio, share), true};
}

}  // namespace spolia::bench
