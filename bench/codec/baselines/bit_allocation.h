// Which groups of components get how many bits, by dynamic programming. Pure functions; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace spolia::bench {

// Components [first, first + count), `bits` each; none: they are left out.
struct ComponentGroup {
  size_t first = 0;
  size_t count = 0;
  unsigned bits = 0;

  bool operator==(const ComponentGroup&) const = default;
};

// What a group may be, and what it costs.
struct AllocationChoices {
  size_t components = 0;
  // Of groups, multiples of each other; a group begins at a multiple of its size. The last one may
  // be cut off.
  std::vector<size_t> sizes;
  std::vector<unsigned> bits;  // 0 among them
  double sideBits = 0;         // a token and group, where bits are not 0
  // Squared error that a group leaves, asked once for each possible group.
  std::function<double(const ComponentGroup&)> error;
};

class BitAllocation {
 public:
  explicit BitAllocation(const AllocationChoices& choices);

  // The groups, in order and without gaps, of the least error within `bitsPerToken`.
  std::vector<ComponentGroup> within(double bitsPerToken) const;

 private:
  struct Option {
    ComponentGroup group;
    uint32_t cost = 0;  // in units of kUnitBits, rounded up
    double error = 0;
  };

  static constexpr double kUnitBits = 4;

  size_t step_;  // smallest group
  size_t places_;
  std::vector<std::vector<Option>> endingAt_;  // [end, in steps]
};

}  // namespace spolia::bench
