// Weight matrices of every element type, with values from a seed.
#pragma once

#include <vector>

#include "engine/products/weight_matrix.h"
#include "tests/support/tiny_model.h"

namespace spolia::engine::test {

inline constexpr WeightType kWeightTypes[] = {
    WeightType::kF32,  WeightType::kF16, WeightType::kBf16, WeightType::kQ8_0,
    WeightType::kQ4_0, WeightType::kQ4K, WeightType::kQ6K};

inline constexpr WeightType kBlockTypes[] = {WeightType::kQ8_0, WeightType::kQ4_0, WeightType::kQ4K,
                                             WeightType::kQ6K};

// "Q4K", for names of tests.
const char* nameOf(WeightType type);

// Rows as a file of the type has them, values of a size of about 1.
std::vector<std::byte> weightRows(WeightType type, size_t outputs, size_t inputs, Random& random);

WeightMatrix packedWeights(WeightType type, size_t outputs, size_t inputs, Random& random);

}  // namespace spolia::engine::test
