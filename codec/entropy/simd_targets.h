// Which instruction sets the vector code of this folder runs on: the best that the machine has,
// unless a test or a benchmark forces another. All give the same bytes and symbols.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace spolia::codec {

// Names of what was compiled and runs here, best first, as Highway calls them ("AVX3" is AVX-512).
std::vector<std::string> simdTargets();

// While it lives, vector code of the whole process runs on this target, one of simdTargets(). One
// at a time, made and ended while no other thread runs such code. For tests and benchmarks.
class ForcedSimdTarget {
 public:
  explicit ForcedSimdTarget(std::string_view name);
  ~ForcedSimdTarget();
  ForcedSimdTarget(const ForcedSimdTarget&) = delete;
  ForcedSimdTarget& operator=(const ForcedSimdTarget&) = delete;
};

}  // namespace spolia::codec
