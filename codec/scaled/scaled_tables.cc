#include "codec/scaled/scaled_tables.h"

#include <algorithm>
#include <array>

#include "codec/lossy/pack_odds.h"

namespace spolia::codec {
namespace {

// exp(-pi / (2 sqrt(3) spread)) * 2^32 of each class: the odds of a logistic distribution's tail
// beyond half a step. Given as numbers, because all machines have to agree on the tables to the
// last bit.
constexpr std::array<uint64_t, kStepClasses> kHalfStepOdds{
    2144,       21568,      150288,     768947,     3034364,    9624671,    25406369,   57468272,
    114159945,  203316617,  330332446,  496814199,  700223700,  934472161,  1191120083, 1460753482,
    1734196613, 2003378989, 2261818252, 2504773130, 2729160629, 2933333809, 3116798906, 3279926627,
    3423690355, 3549446827, 3658763366, 3753288904, 3834662711, 3904453616, 3964122728, 4015003499,
    4058294092, 4095058069, 4126230419, 4152626725, 4174953940, 4193821704, 4209753521, 4223197364,
    4234535469, 4244093197, 4252146951, 4258931153, 4264644341, 4269454471, 4273503492, 4276911271};

constexpr uint64_t kOne = kOddsOne;
// Symbols less likely than a quarter of a table's unit are left to the escape.
constexpr uint64_t kRarest = kOne / kRansProbabilityTotal / 4;
// No symbol is so likely that very many of them fit into a byte: 2,048 values, which costs classes
// that are all but silent 0.006 bits a value.
constexpr uint32_t kMostFrequent = kRansProbabilityTotal - 64;

// Probability of each value from -reach to reach, times 2^32.
std::array<uint64_t, 255> logistic(uint32_t stepClass, uint32_t reach) {
  std::array<uint64_t, 255> out{};
  uint64_t odds = kHalfStepOdds[stepClass];
  const uint64_t step = oddsProduct(odds, odds);
  const auto beyond = [&] { return odds * kOne / (kOne + odds); };
  uint64_t tail = beyond();
  out[reach] = kOne - 2 * tail;
  for (uint32_t v = 1; v <= reach; ++v) {
    odds = oddsProduct(odds, step);
    const uint64_t next = beyond();
    out[reach + v] = out[reach - v] = tail - next;
    tail = next;
  }
  return out;
}

// One for each symbol before `last` that has the least weight, and shares of the rest by weight;
// what is missing goes to `last`.
FrequencyTable shared(const std::array<uint64_t, 256>& weights, uint32_t last, uint64_t least) {
  const auto kept = static_cast<uint64_t>(std::count_if(weights.begin(), weights.begin() + last,
                                                        [=](uint64_t w) { return w >= least; }));
  const uint64_t share = kRansProbabilityTotal - 1 - kept;
  FrequencyTable out;
  uint64_t sum = 0;
  uint64_t given = 0;
  uint32_t total = 0;
  for (uint32_t symbol = 0; symbol < last; ++symbol) {
    if (weights[symbol] < least) continue;
    sum += weights[symbol];
    const uint64_t upTo = oddsProduct(sum, share);
    out.frequency[symbol] = static_cast<uint16_t>(1 + upTo - given);
    given = upTo;
    total += out.frequency[symbol];
  }
  out.frequency[last] = static_cast<uint16_t>(kRansProbabilityTotal - total);
  return out;
}

FrequencyTable coarseTable(uint32_t stepClass) {
  const PackForm form = coarsePack(stepClass, kScaledLastPair);
  FrequencyTable out =
      shared(packOdds(logistic(stepClass, form.reach), form), form.escape(), kRarest);
  uint16_t& zeros = out.frequency[form.escape() / 2];
  const uint32_t over = zeros - std::min<uint32_t>(zeros, kMostFrequent);
  zeros = static_cast<uint16_t>(zeros - over);
  out.frequency[form.escape()] = static_cast<uint16_t>(out.frequency[form.escape()] + over);
  return out;
}

// Where a value lies in its split step, from what the value is at the finer step.
FrequencyTable fineTable(uint32_t stepClass) {
  constexpr int32_t kReach = 127;
  const auto value = logistic(stepClass, kReach);
  std::array<uint64_t, 255> split{};
  uint64_t sum = 0;
  for (int32_t v = -kReach; v <= kReach; ++v) {
    sum += value[static_cast<size_t>(v + kReach)];
    if (v % kLevelSplit == 0) split[1] += value[static_cast<size_t>(v + kReach)];
  }
  split[0] = split[2] = (sum - split[1]) / 2;
  return shared(packOdds(split, kFinePack), kFinePack.escape() - 1, 0);
}

ClassTables makeTables() {
  ClassTables out;
  for (uint32_t c = 0; c < kStepClasses; ++c) {
    out.coarse[c] = coarseTable(c);
    out.fine[c] = fineTable(c);
  }
  return out;
}

}  // namespace

const ClassTables& scaledTables() {
  static const ClassTables tables = makeTables();
  return tables;
}

const PreparedTables& scaledPrepared() {
  static const PreparedTables prepared(scaledTables(), kScaledLastPair);
  return prepared;
}

}  // namespace spolia::codec
