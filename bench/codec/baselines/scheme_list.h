// All schemes by name. Any thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bench/codec/baselines/scheme.h"
#include "codec/lossy/profile.h"

namespace spolia::bench {

using Profiles = std::vector<std::shared_ptr<const codec::Profile>>;

// With the presets that the profiles are for.
std::vector<std::unique_ptr<Scheme>> allSchemes(const Profiles& profiles = {});
// Those of a list separated by commas, in its order; empty: all. kInvalidArgument names what is
// unknown, and what there is.
Result<std::vector<std::unique_ptr<Scheme>>> schemesNamed(std::string_view list,
                                                          const Profiles& profiles = {});

}  // namespace spolia::bench
