// Frequency tables of all kinds and symbols drawn from them.
#pragma once

#include <random>
#include <vector>

#include "codec/entropy/rans_tables.h"

namespace spolia::codec {

inline FrequencyTable tableOf(std::initializer_list<std::pair<uint8_t, uint16_t>> frequencies) {
  FrequencyTable table;
  for (const auto& [symbol, frequency] : frequencies) table.frequency[symbol] = frequency;
  return table;
}

// One symbol, two, all 256, the rarest and the most frequent there can be, and some at random.
inline std::vector<FrequencyTable> sampleTables(std::mt19937& random) {
  std::vector<FrequencyTable> out{tableOf({{7, 4096}}), tableOf({{0, 1}, {255, 4095}}),
                                  tableOf({{3, 2048}, {200, 2048}}), tableOf({{255, 4096}}),
                                  tableOf({{1, 4094}, {2, 1}, {3, 1}})};
  FrequencyTable& all = out.emplace_back();
  all.frequency.fill(16);
  SymbolCounts steep{};
  for (size_t s = 0; s < 256; ++s) steep[s] = s < 30 ? 1u << s : 1;
  out.push_back(normalise(steep));
  for (int i = 0; i < 6; ++i) {
    SymbolCounts counts{};
    for (uint32_t n = 1 + random() % 256; n > 0; --n) counts[random() % 256] = 1 + random() % 1000;
    out.push_back(normalise(counts));
  }
  return out;
}

// As likely as the table says.
inline std::vector<uint8_t> drawSymbols(const FrequencyTable& table, size_t count,
                                        std::mt19937& random) {
  DecodeTable slots;
  buildDecodeTable(table, slots);
  std::vector<uint8_t> out(count);
  for (uint8_t& s : out) s = static_cast<uint8_t>(slots[random() % kRansProbabilityTotal]);
  return out;
}

}  // namespace spolia::codec
