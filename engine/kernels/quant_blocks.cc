#include "engine/kernels/quant_blocks.h"

#include <cstdint>
#include <cstring>

#include "engine/kernels/element_convert.h"
#include "engine/kernels/reference.h"

namespace spolia::engine {

namespace {

uint8_t byteAt(const std::byte* at) {
  return std::to_integer<uint8_t>(*at);
}

uint16_t halfBitsAt(const std::byte* at) {
  return static_cast<uint16_t>(byteAt(at) | byteAt(at + 1) << 8);
}

// Scale and minimum of group 0 .. 7 of a Q4_K block, from its 12 packed bytes.
struct GroupScale {
  uint8_t scale, minimum;
};
GroupScale groupScale(const std::byte* packed, size_t group) {
  const auto bits = [](int value) { return static_cast<uint8_t>(value); };
  if (group < 4) return {bits(byteAt(packed + group) & 63), bits(byteAt(packed + 4 + group) & 63)};
  const int both = byteAt(packed + 4 + group);
  return {bits((both & 15) | byteAt(packed + group - 4) >> 6 << 4),
          bits(both >> 4 | byteAt(packed + group) >> 6 << 4)};
}

// `count` bytes: their low halves, and their high halves.
void takeHalves(const std::byte* bytes, size_t count, uint8_t* low, uint8_t* high) {
  for (size_t i = 0; i < count; ++i) {
    low[i] = byteAt(bytes + i) & 15;
    high[i] = static_cast<uint8_t>(byteAt(bytes + i) >> 4);
  }
}

// Parts of a Q6_K block.
constexpr size_t kQ6High = 128, kQ6Scales = kQ6High + 64, kQ6D = kQ6Scales + 16;

void takeQ6(const std::byte* block, BlockParts& parts) {
  for (size_t half = 0; half < 2; ++half) {
    const std::byte* low = block + 64 * half;
    const std::byte* high = block + kQ6High + 32 * half;
    uint8_t* q = parts.q + 128 * half;
    takeHalves(low, 64, q, q + 64);
    for (size_t quarter = 0; quarter < 4; ++quarter) {
      for (size_t i = 0; i < 32; ++i) {
        const int bits = byteAt(high + i) >> 2 * quarter & 3;
        q[32 * quarter + i] = static_cast<uint8_t>(q[32 * quarter + i] | bits << 4);
      }
    }
  }
  std::memcpy(parts.scale, block + kQ6Scales, 16);
}

int8_t asSigned(uint8_t bits) {
  return static_cast<int8_t>(bits);
}

}  // namespace

BlockParts takeApart(WeightType type, const std::byte* block) {
  BlockParts parts;
  parts.d = halfBitsAt(type == WeightType::kQ6K ? block + kQ6D : block);
  switch (type) {
    case WeightType::kQ8_0:
      std::memcpy(parts.q, block + 2, 32);
      break;
    case WeightType::kQ4_0:
      takeHalves(block + 2, 16, parts.q, parts.q + 16);
      break;
    case WeightType::kQ4K:
      parts.dmin = halfBitsAt(block + 2);
      for (size_t group = 0; group < 8; ++group) {
        const GroupScale both = groupScale(block + 4, group);
        parts.scale[group] = both.scale;
        parts.minimum[group] = both.minimum;
      }
      for (size_t pair = 0; pair < 4; ++pair) {
        uint8_t* q = parts.q + 64 * pair;
        takeHalves(block + 16 + 32 * pair, 32, q, q + 32);
      }
      break;
    case WeightType::kQ6K:
      takeQ6(block, parts);
      break;
    case WeightType::kF32:
    case WeightType::kF16:
    case WeightType::kBf16:
      SPOLIA_CHECK(false);
  }
  return parts;
}

void widenParts(WeightType type, const BlockParts& parts, float* out) {
  const float d = reference::widenF16(parts.d), dmin = reference::widenF16(parts.dmin);
  const auto number = [](int value) { return static_cast<float>(value); };
  for (size_t i = 0; i < blockValues(type); ++i) {
    const int q = parts.q[i];
    if (type == WeightType::kQ8_0) {
      out[i] = d * number(asSigned(parts.q[i]));
    } else if (type == WeightType::kQ4_0) {
      out[i] = d * number(q - 8);
    } else if (type == WeightType::kQ4K) {
      // d s has 17 bits at most and times q 21: only the difference rounds.
      out[i] = d * number(parts.scale[i / 32]) * number(q) - dmin * number(parts.minimum[i / 32]);
    } else {
      out[i] = d * number(asSigned(parts.scale[i / 16])) * number(q - 32);
    }
  }
}

void dequantize(WeightType type, const std::byte* blocks, size_t values, float* out) {
  SPOLIA_DCHECK(values % blockValues(type) == 0);
  if (type == WeightType::kF32) {
    std::memcpy(out, blocks, values * sizeof(float));
    return;
  }
  if (type == WeightType::kF16) return widenF16(blocks, values, out);
  if (type == WeightType::kBf16) return widenBf16(blocks, values, out);
  for (size_t i = 0; i < values; i += blockValues(type)) {
    widenParts(type, takeApart(type, blocks), out + i);
    blocks += blockBytes(type);
  }
}

namespace reference {
namespace {

float halfAt(const std::byte* at) {
  return widenF16(halfBitsAt(at));
}

int8_t signedAt(const std::byte* at) {
  return asSigned(byteAt(at));
}

// Value i of a block.
float valueOf(WeightType type, const std::byte* block, size_t i) {
  switch (type) {
    case WeightType::kF32: {
      float value;
      std::memcpy(&value, block, sizeof value);
      return value;
    }
    case WeightType::kF16:
      return halfAt(block);
    case WeightType::kBf16:
      return widenBf16(halfBitsAt(block));
    case WeightType::kQ8_0:
      return halfAt(block) * static_cast<float>(signedAt(block + 2 + i));
    case WeightType::kQ4_0: {
      const int q = static_cast<int>(byteAt(block + 2 + i % 16) >> (i < 16 ? 0 : 4) & 15);
      return halfAt(block) * static_cast<float>(q - 8);
    }
    case WeightType::kQ4K: {
      const size_t group = i / 32;
      const auto [scale, minimum] = groupScale(block + 4, group);
      const uint32_t byte = byteAt(block + 16 + group / 2 * 32 + i % 32);
      const float d = halfAt(block) * static_cast<float>(scale);
      const float m = halfAt(block + 2) * static_cast<float>(minimum);
      return d * static_cast<float>(group % 2 == 0 ? byte & 15 : byte >> 4) - m;
    }
    case WeightType::kQ6K: {
      const size_t half = i / 128, quarter = i % 128 / 32, column = i % 32;
      const uint32_t low = byteAt(block + 64 * half + 32 * (quarter % 2) + column);
      const uint32_t high = byteAt(block + kQ6High + 32 * half + column) >> 2 * quarter & 3;
      const int q = static_cast<int>((quarter < 2 ? low & 15 : low >> 4) | high << 4);
      const float d =
          halfAt(block + kQ6D) * static_cast<float>(signedAt(block + kQ6Scales + i / 16));
      return d * static_cast<float>(q - 32);
    }
  }
  return 0;
}

}  // namespace

void dequantize(WeightType type, const std::byte* blocks, size_t values, float* out) {
  const size_t perBlock = blockValues(type);
  for (size_t i = 0; i < values; ++i) {
    out[i] = valueOf(type, blocks + i / perBlock * blockBytes(type), i % perBlock);
  }
}

}  // namespace reference
}  // namespace spolia::engine
