// The element types in which the engine reads weights, and how many bytes of a file they take. The
// quantised ones are ggml's: blocks of a fixed number of values with their scales.
#pragma once

#include <cstddef>
#include <cstdint>

#include "codec/base/check.h"

namespace spolia::engine {

enum class WeightType : uint8_t { kF32, kF16, kBf16, kQ8_0, kQ4_0, kQ4K, kQ6K };

// Values of a block: 1 where there are no blocks. A row begins with a block, so its length has to
// be a multiple of this.
constexpr size_t blockValues(WeightType type) {
  switch (type) {
    case WeightType::kF32:
    case WeightType::kF16:
    case WeightType::kBf16:
      return 1;
    case WeightType::kQ8_0:
    case WeightType::kQ4_0:
      return 32;
    case WeightType::kQ4K:
    case WeightType::kQ6K:
      return 256;
  }
  SPOLIA_CHECK(false);
  return 1;
}

// Bytes of a block.
constexpr size_t blockBytes(WeightType type) {
  switch (type) {
    case WeightType::kF32:
      return 4;
    case WeightType::kF16:
    case WeightType::kBf16:
      return 2;
    case WeightType::kQ8_0:
      return 2 + 32;
    case WeightType::kQ4_0:
      return 2 + 32 / 2;
    case WeightType::kQ4K:
      return 2 + 2 + 12 + 256 / 2;
    case WeightType::kQ6K:
      return 256 / 2 + 256 / 4 + 256 / 16 + 2;
  }
  SPOLIA_CHECK(false);
  return 1;
}

// Bytes of `values` values, a multiple of blockValues(type).
constexpr size_t storedBytes(WeightType type, size_t values) {
  SPOLIA_DCHECK(values % blockValues(type) == 0);
  return values / blockValues(type) * blockBytes(type);
}

}  // namespace spolia::engine
