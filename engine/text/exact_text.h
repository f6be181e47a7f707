// Numbers as the texts that fingerprints digest.
#pragma once

#include <charconv>
#include <string>

namespace spolia::engine {

// The shortest text that reads back as the same float or double.
template <typename Number>
std::string exactText(Number value) {
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  return std::string(buffer, end);
}

}  // namespace spolia::engine
