#include "tests/support/packed_weights.h"

#include <cstring>

#include "codec/base/check.h"
#include "engine/kernels/element_convert.h"

namespace spolia::engine::test {

namespace {

// Where the blocks of a type have their f16 scales.
std::vector<size_t> scalesOf(WeightType type) {
  switch (type) {
    case WeightType::kQ8_0:
    case WeightType::kQ4_0:
      return {0};
    case WeightType::kQ4K:
      return {0, 2};
    case WeightType::kQ6K:
      return {blockBytes(type) - 2};
    default:
      return {};
  }
}

// What one step of the scale is, so that values are of a size of about 1.
float scaleOf(WeightType type) {
  switch (type) {
    case WeightType::kQ8_0:
      return 1.0f / 128;
    case WeightType::kQ4_0:
      return 1.0f / 8;
    case WeightType::kQ4K:
      return 1.0f / (16 * 32);
    default:
      return 1.0f / (64 * 64);
  }
}

}  // namespace

const char* nameOf(WeightType type) {
  constexpr const char* kNames[] = {"F32", "F16", "Bf16", "Q8_0", "Q4_0", "Q4K", "Q6K"};
  return kNames[static_cast<size_t>(type)];
}

std::vector<std::byte> weightRows(WeightType type, size_t outputs, size_t inputs, Random& random) {
  std::vector<std::byte> out(storedBytes(type, inputs) * outputs);
  const size_t values = outputs * inputs;
  if (blockValues(type) == 1) {
    const Matrix wide = random.matrix(outputs, inputs, 1);
    if (type == WeightType::kF32) std::memcpy(out.data(), wide.data(), out.size());
    if (type == WeightType::kF16) narrowF16(wide.data(), values, out.data());
    if (type == WeightType::kBf16) narrowBf16(wide.data(), values, out.data());
    return out;
  }
  for (std::byte& byte : out) byte = static_cast<std::byte>(random.below(256));
  for (size_t block = 0; block < out.size(); block += blockBytes(type)) {
    for (const size_t at : scalesOf(type)) {
      const float scale = scaleOf(type) * random.uniform(0.5f, 1.0f);
      narrowF16(&scale, 1, out.data() + block + at);
    }
  }
  return out;
}

WeightMatrix packedWeights(WeightType type, size_t outputs, size_t inputs, Random& random) {
  return WeightMatrix(type, weightRows(type, outputs, inputs, random).data(), outputs, inputs);
}

}  // namespace spolia::engine::test
