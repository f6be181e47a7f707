#include "codec/entropy/histogram.h"

#include <cstddef>

namespace spolia::codec {

SymbolCounts countSymbols(std::span<const uint8_t> symbols) {
  // Four partial counts: runs of one symbol would otherwise wait for their own stores.
  std::array<SymbolCounts, 4> partial{};
  size_t i = 0;
  for (; i + 4 <= symbols.size(); i += 4) {
    for (size_t k = 0; k < 4; ++k) ++partial[k][symbols[i + k]];
  }
  for (; i < symbols.size(); ++i) ++partial[0][symbols[i]];
  SymbolCounts counts;
  for (size_t s = 0; s < counts.size(); ++s) {
    counts[s] = partial[0][s] + partial[1][s] + partial[2][s] + partial[3][s];
  }
  return counts;
}

}  // namespace spolia::codec
