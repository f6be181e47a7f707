#include "codec/lossy/step_classes.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "codec/base/check.h"
#include "codec/lossy/pack_odds.h"

namespace spolia::codec {
namespace {

// exp(-sqrt(1/2) / spread) * 2^32 of each class: the tail of a Laplace distribution beyond half a
// step. Given as numbers, because all machines have to agree on the tables to the last bit.
constexpr std::array<uint64_t, kStepClasses> kHalfStepTail{
    52418,      317125,     1440801,    5145013,    15004422,   36905875,   78665070,   148652826,
    253857248,  398132550,  581260615,  799036310,  1044178424, 1307656790, 1580030169, 1852521207,
    2117713904, 2369882518, 2605029347, 2820730047, 3015876649, 3190386796, 3344923893, 3480652712,
    3599040369, 3701703250, 3790295335, 3866431115, 3931635878, 3987316692, 4034748382, 4075069962,
    4109287957, 4138284039, 4162825044, 4183574096, 4201101925, 4215897841, 4228380000, 4238904802,
    4247775344, 4255248918, 4261543595, 4266843974, 4271306145, 4275061981, 4278222805, 4280882540};

constexpr uint64_t kOne = kOddsOne;
// Counts below total / this are left to the escape: a frequency of 1 would cost the others more.
constexpr uint64_t kRarest = 6000;

// Probability of each value from -reach to reach, times 2^32.
std::array<uint64_t, 255> laplace(uint32_t stepClass, uint32_t reach) {
  std::array<uint64_t, 255> out{};
  const uint64_t half = kHalfStepTail[stepClass];
  const uint64_t whole = oddsProduct(half, half);
  out[reach] = kOne - half;
  uint64_t tail = half;
  for (uint32_t v = 1; v <= reach; ++v) {
    const uint64_t next = oddsProduct(tail, whole);
    out[reach + v] = out[reach - v] = (tail - next) / 2;
    tail = next;
  }
  return out;
}

SymbolCounts countsOf(const std::array<uint64_t, 256>& weights) {
  SymbolCounts out{};
  for (size_t s = 0; s < out.size(); ++s) out[s] = static_cast<uint32_t>(weights[s]);
  return out;
}

// Where a value lies in its split step, from what the value is at the finer step.
std::array<uint64_t, 255> splitLaplace(uint32_t stepClass) {
  const auto value = laplace(stepClass, 127);
  std::array<uint64_t, 255> out{};
  uint64_t sum = 0;
  for (int32_t v = -126; v <= 126; v += kLevelSplit) out[1] += value[static_cast<size_t>(v + 127)];
  for (uint64_t v : value) sum += v;
  out[0] = out[2] = (sum - out[1]) / 2;
  return out;
}

ClassTables makeBuiltIn() {
  ClassTables out;
  for (uint32_t c = 0; c < kStepClasses; ++c) {
    const PackForm form = coarsePack(c);
    auto weights = packOdds(laplace(c, form.reach), form);
    // What the values do not reach: nearly half of it all in the widest class.
    weights[form.escape()] =
        std::accumulate(weights.begin(), weights.end(), kOne - 1, std::minus());
    out.coarse[c] = coarseTableOf(countsOf(weights), form);
    out.fine[c] = fineTableOf(countsOf(packOdds(splitLaplace(c), kFinePack)));
  }
  return out;
}

}  // namespace

uint32_t classOf(float ratio) {
  const float at = static_cast<float>(kUnitClass) + kClassesPerOctave * std::log2(ratio);
  return shiftedClass(static_cast<int32_t>(std::lround(std::clamp(at, -100.0f, 100.0f))), 0);
}

uint32_t shiftedClass(int32_t stepClass, int32_t shift) {
  const auto last = static_cast<int32_t>(kStepClasses) - 1;
  return static_cast<uint32_t>(std::clamp(stepClass + shift, 0, last));
}

FrequencyTable coarseTableOf(const SymbolCounts& counts, PackForm form) {
  SymbolCounts kept = counts;
  uint64_t total = 0;
  for (uint32_t c : counts) total += c;
  for (uint32_t& c : kept) {
    if (uint64_t{c} * kRarest < total) c = 0;
  }
  // The least that gives a frequency of 1.
  uint32_t& escape = kept[form.escape()];
  escape = std::max<uint32_t>(escape, 1 + static_cast<uint32_t>(total / kRarest));
  return normalise(kept);
}

FrequencyTable fineTableOf(const SymbolCounts& counts) {
  SymbolCounts kept = counts;
  for (uint32_t s = 0; s < kFinePack.escape(); ++s) kept[s] = std::max(kept[s], 1u);
  return normalise(kept);
}

const ClassTables& builtInTables() {
  static const ClassTables tables = makeBuiltIn();
  return tables;
}

}  // namespace spolia::codec
