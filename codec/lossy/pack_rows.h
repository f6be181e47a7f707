// Symbols of coefficients to their values and back, in runs of one form, by vectors.
// codec/lossy/step_classes.h says what a form is. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "codec/lossy/step_classes.h"

namespace spolia::codec {

// The symbols of `count` packs of values; the escape for a pack of values out of reach. Gives
// whether there is a value other than 0.
bool packValues(const int16_t* values, size_t count, PackForm form, uint8_t* symbols);

// to[i] = scale * value of the values of `count` symbols, or with `add` that much more. Those of an
// escape, and of symbols behind it, are anything. Gives the largest symbol.
uint8_t unpackSymbols(const uint8_t* symbols, size_t count, PackForm form, bool add, int16_t scale,
                      int16_t* to);

// finer[i] - kLevelSplit * coarser[i], which are -1 to 1, plus 1.
void splitDigits(const int16_t* finer, const int16_t* coarser, size_t count, uint8_t* digits);

}  // namespace spolia::codec
