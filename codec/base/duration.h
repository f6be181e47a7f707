// Lengths of time as people write them in flags and configuration files. Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "codec/base/result.h"

namespace spolia {

// "90", "90s", "10m", "6h", "30d", "2w": seconds. kInvalidArgument otherwise.
Result<uint64_t> parseDuration(std::string_view text);

// Seconds since 1970 as "2026-03-01T12:00:00Z"; what no calendar reaches as a number.
std::string formatUtc(uint64_t seconds);

}  // namespace spolia
