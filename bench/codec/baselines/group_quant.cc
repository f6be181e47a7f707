#include "bench/codec/baselines/group_quant.h"

#include <algorithm>
#include <cmath>

namespace spolia::bench {

void writeGroup(const float* values, const ValueGroup& group, unsigned bits, BitWriter& out) {
  const auto value = [&](size_t i) { return values[group.first + i * group.stride]; };
  float least = value(0), most = value(0);
  for (size_t i = 1; i < group.count; ++i) {
    least = std::min(least, value(i)), most = std::max(most, value(i));
  }
  const auto levels = static_cast<float>((uint64_t{1} << bits) - 1);
  // Steps count from the least value as it will be read.
  least = out.putHalf(least);
  const float step = out.putHalf((most - least) / levels);
  for (size_t i = 0; i < group.count; ++i) {
    const float level = step > 0 ? std::round((value(i) - least) / step) : 0;
    out.put(static_cast<uint32_t>(std::clamp(level, 0.0f, levels)), bits);
  }
}

void readGroup(BitReader& in, const ValueGroup& group, unsigned bits, float* values) {
  const float least = in.getHalf();
  const float step = in.getHalf();
  for (size_t i = 0; i < group.count; ++i) {
    values[group.first + i * group.stride] = least + step * static_cast<float>(in.get(bits));
  }
}

void writeHalves(const float* values, const ValueGroup& group, BitWriter& out) {
  for (size_t i = 0; i < group.count; ++i) out.putHalf(values[group.first + i * group.stride]);
}

void readHalves(BitReader& in, const ValueGroup& group, float* values) {
  for (size_t i = 0; i < group.count; ++i) values[group.first + i * group.stride] = in.getHalf();
}

}  // namespace spolia::bench
