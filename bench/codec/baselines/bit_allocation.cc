#include "bench/codec/baselines/bit_allocation.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "codec/base/check.h"

namespace spolia::bench {

BitAllocation::BitAllocation(const AllocationChoices& choices)
    : step_(std::ranges::min(choices.sizes)),
      places_((choices.components + step_ - 1) / step_),
      endingAt_(places_ + 1) {
  for (const size_t size : choices.sizes) {
    for (size_t first = 0; first < choices.components; first += size) {
      const size_t count = std::min(size, choices.components - first);
      for (const unsigned bits : choices.bits) {
        Option option{{first, count, bits}, 0, 0};
        const double cost = bits == 0 ? 0 : static_cast<double>(count * bits) + choices.sideBits;
        option.cost = static_cast<uint32_t>(std::ceil(cost / kUnitBits));
        option.error = choices.error(option.group);
        endingAt_[(first + count + step_ - 1) / step_].push_back(option);
      }
    }
  }
}

// least[place][budget]: of the components before `place`. A budget that is not used up is fine.
std::vector<ComponentGroup> BitAllocation::within(double bitsPerToken) const {
  const auto budget = static_cast<size_t>(std::max(0.0, bitsPerToken) / kUnitBits);
  const size_t width = budget + 1;
  std::vector<double> least((places_ + 1) * width, std::numeric_limits<double>::infinity());
  std::vector<uint16_t> taken((places_ + 1) * width);
  std::fill_n(least.begin(), width, 0.0);
  for (size_t place = 1; place <= places_; ++place) {
    for (size_t o = 0; o < endingAt_[place].size(); ++o) {
      const Option& option = endingAt_[place][o];
      const double* from = &least[option.group.first / step_ * width];
      for (size_t b = option.cost; b < width; ++b) {
        const double error = from[b - option.cost] + option.error;
        if (error < least[place * width + b]) {
          least[place * width + b] = error;
          taken[place * width + b] = static_cast<uint16_t>(o);
        }
      }
    }
  }
  std::vector<ComponentGroup> groups;
  for (size_t place = places_, b = budget; place > 0;) {
    const Option& option = endingAt_[place][taken[place * width + b]];
    groups.push_back(option.group);
    place = option.group.first / step_;
    b -= option.cost;
  }
  std::ranges::reverse(groups);
  return groups;
}

}  // namespace spolia::bench
