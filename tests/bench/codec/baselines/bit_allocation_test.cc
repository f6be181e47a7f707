#include "bench/codec/baselines/bit_allocation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace spolia::bench {
namespace {

double costOf(const AllocationChoices& choices, const ComponentGroup& group) {
  return group.bits == 0 ? 0 : static_cast<double>(group.count * group.bits) + choices.sideBits;
}

// Every error falls by four with a bit; variances fall by three from component to component.
AllocationChoices simpleChoices() {
  AllocationChoices choices;
  choices.components = 12;
  choices.sizes = {4, 8};
  choices.bits = {0, 1, 2, 3};
  choices.sideBits = 8;
  choices.error = [](const ComponentGroup& group) {
    double error = 0;
    for (size_t c = group.first; c < group.first + group.count; ++c) {
      error += std::pow(3.0, -static_cast<double>(c)) * std::pow(4.0, -double(group.bits));
    }
    return error;
  };
  return choices;
}

// The least error of all ways to cut [first, end) into groups, by trying them all.
double leastError(const AllocationChoices& choices, size_t first, double budget) {
  if (first >= choices.components) return 0;
  double least = std::numeric_limits<double>::infinity();
  for (const size_t size : choices.sizes) {
    if (first % size != 0) continue;
    for (const unsigned bits : choices.bits) {
      const ComponentGroup group{first, std::min(size, choices.components - first), bits};
      const double left = budget - costOf(choices, group);
      if (left < 0) continue;
      least = std::min(least, choices.error(group) + leastError(choices, first + size, left));
    }
  }
  return least;
}

TEST(BitAllocationTest, FindsTheLeastError) {
  const AllocationChoices choices = simpleChoices();
  const BitAllocation allocation(choices);
  for (double budget = 0; budget <= 60; budget += 4) {
    double error = 0, cost = 0;
    size_t next = 0;
    for (const ComponentGroup& group : allocation.within(budget)) {
      EXPECT_EQ(group.first, next);
      next += group.count;
      error += choices.error(group);
      cost += costOf(choices, group);
    }
    EXPECT_EQ(next, choices.components);
    EXPECT_LE(cost, budget);
    EXPECT_NEAR(error, leastError(choices, 0, budget), 1e-12) << budget;
  }
}

TEST(BitAllocationTest, WithoutBitsEverythingIsLeftOut) {
  for (const ComponentGroup& group : BitAllocation(simpleChoices()).within(0)) {
    EXPECT_EQ(group.bits, 0u);
  }
}

}  // namespace
}  // namespace spolia::bench
