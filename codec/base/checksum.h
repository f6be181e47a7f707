// XXH3-64: detects corruption by accident, not by an adversary. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace spolia {

uint64_t xxh3(std::span<const std::byte> data, uint64_t seed = 0);

}  // namespace spolia
