// All schemes by name. Any thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bench/codec/baselines/scheme.h"

namespace spolia::bench {

std::vector<std::unique_ptr<Scheme>> allSchemes();
// Those of a list separated by commas, in its order; empty: all. kInvalidArgument names what is
// unknown, and what there is.
Result<std::vector<std::unique_ptr<Scheme>>> schemesNamed(std::string_view list);

}  // namespace spolia::bench
