// All schemes by name. Any thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bench/codec/baselines/scheme.h"
#include "codec/lossy/profile.h"

namespace spolia::bench {

// Without a profile the schemes that need one are left out.
std::vector<std::unique_ptr<Scheme>> allSchemes(std::shared_ptr<const codec::Profile> profile);
// Those of a list separated by commas, in its order; empty: all. kInvalidArgument names what is
// unknown, and what there is.
Result<std::vector<std::unique_ptr<Scheme>>> schemesNamed(
    std::string_view list, std::shared_ptr<const codec::Profile> profile);

}  // namespace spolia::bench
