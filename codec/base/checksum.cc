#include "codec/base/checksum.h"

#include <xxhash.h>

namespace spolia {

uint64_t xxh3(std::span<const std::byte> data, uint64_t seed) {
  return XXH3_64bits_withSeed(data.data(), data.size(), seed);
}

}  // namespace spolia
