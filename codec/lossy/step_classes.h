// How quantised coefficients are made into byte symbols, and how likely those are. A coefficient
// belongs to a class: its spread in steps, in quarter octaves. The class says how many values one
// symbol holds and, by a table, how probable each symbol is; a profile may bring tables learnt from
// the model's own coefficients, others use the built-in ones (values as of a Laplace distribution).
// Specified in codec/FORMAT.md ("Classes"). Values and pure functions; any thread.
#pragma once

#include <array>
#include <cstdint>

#include "codec/entropy/rans_tables.h"

namespace spolia::codec {

inline constexpr uint32_t kStepClasses = 48;
// Of a coefficient whose standard deviation is one step.
inline constexpr int32_t kUnitClass = 16;
inline constexpr int32_t kClassesPerOctave = 4;
// Components are coded four at a time, under one class.
inline constexpr uint32_t kPackComponents = 4;

// A level splits every step of the one before into this many.
inline constexpr int32_t kLevelSplit = 3;
// log2(kLevelSplit) in classes: the first of two levels is coded that much lower.
inline constexpr int32_t kSplitClasses = 6;
// Finest steps of a level that has so many finer ones below it, at most 2.
constexpr int16_t powerOfSplit(uint32_t levelsBelow) {
  return levelsBelow == 0 ? 1 : levelsBelow == 1 ? kLevelSplit : kLevelSplit * kLevelSplit;
}

// Nearest class of a spread of `ratio` steps (> 0), within the table.
uint32_t classOf(float ratio);
// The class `shift` quarter octaves away, within the table.
uint32_t shiftedClass(int32_t stepClass, int32_t shift);

// A symbol holds `values` values of magnitude at most `reach`, the first one the most significant
// digit to the base 2 * reach + 1, each with `reach` added. The number after the last such symbol
// says that the values stand elsewhere.
struct PackForm {
  uint8_t values = 1;
  uint8_t reach = 0;

  constexpr uint32_t base() const { return 2u * reach + 1; }
  constexpr uint32_t escape() const {
    uint32_t count = 1;
    for (uint32_t i = 0; i < values; ++i) count *= base();
    return count;
  }
};

// The last class whose symbols hold two values, of learnt transforms.
inline constexpr uint32_t kLearntLastPair = 18;
// Of the first or only level. A spread of 0.3 steps needs no more than -1 to 1, one of 1.4 no more
// than -7 to 7, but once in thousands.
constexpr PackForm coarsePack(uint32_t stepClass, uint32_t lastPair = kLearntLastPair) {
  if (stepClass <= 9) return {4, 1};
  if (stepClass <= lastPair) return {2, 7};
  return {1, 127};
}
// Of a further level: where in the split step a value lies, by -1, 0 and 1. Never escaped.
inline constexpr PackForm kFinePack{4, 1};

// Symbol probabilities of every class. A symbol without a frequency is written as an escape, which
// always has one in `coarse`; in `fine` every symbol has one.
struct ClassTables {
  std::array<FrequencyTable, kStepClasses> coarse;
  // By the class at the finer level's own step.
  std::array<FrequencyTable, kStepClasses> fine;

  bool operator==(const ClassTables&) const = default;
};

const ClassTables& builtInTables();

// A table for symbols counted so, where a symbol rarer than its share of the table is left to the
// escape. At least one count of a symbol other than the escape is not zero.
FrequencyTable coarseTableOf(const SymbolCounts& counts, PackForm form);
FrequencyTable fineTableOf(const SymbolCounts& counts);

}  // namespace spolia::codec
