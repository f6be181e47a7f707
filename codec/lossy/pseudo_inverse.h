// The encoder's side of bases that are not orthonormal. Pure functions; any thread.
#pragma once

#include <cstdint>
#include <vector>

namespace spolia::codec {

// For `count` rows of `channels`, [row][channel], that are linearly independent: the factors
// [channel][row] by which a vector of channels is multiplied to get the coefficients of the rows
// whose sum is nearest to it (least squares). Rows that all but depend on others get small
// coefficients instead of wild ones.
std::vector<float> leastSquaresFactors(const std::vector<float>& rows, uint32_t count,
                                       uint32_t channels);

}  // namespace spolia::codec
