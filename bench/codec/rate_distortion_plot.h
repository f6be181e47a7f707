// The curves of size against damage as a PNG: ratio to fp16 on a binary logarithmic axis, KL on a
// decimal one, a line where the budget ends. Any thread.
#pragma once

#include <filesystem>
#include <vector>

#include "bench/codec/quality/rate_distortion.h"
#include "codec/base/result.h"

namespace spolia::bench {

// Writes the picture, and its directory where there is none; an existing file is replaced whole.
// Damage below 1e-5 stands at the lower edge, above 0.1 at the upper one. kIoError names the path.
Status plotRateDistortion(const std::vector<RateCurve>& curves, double budgetKl,
                          const std::filesystem::path& path);

}  // namespace spolia::bench
