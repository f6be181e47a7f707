// What a variable of the environment asks for: seeds to replay, how long a test goes on.
#pragma once

#include <cstdint>
#include <cstdlib>

namespace spolia::test {

inline uint64_t askedNumber(const char* variable, uint64_t otherwise) {
  const char* asked = std::getenv(variable);
  return asked != nullptr ? std::strtoull(asked, nullptr, 10) : otherwise;
}

}  // namespace spolia::test
