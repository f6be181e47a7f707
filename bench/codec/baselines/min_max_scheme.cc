#include "bench/codec/baselines/min_max_scheme.h"

#include "bench/codec/baselines/group_quant.h"

namespace spolia::bench {

namespace {

std::vector<ValueGroup> groupsOf(const KvShape& shape, size_t tokens) {
  std::vector<ValueGroup> groups;
  const size_t columns = shape.columns();
  for (size_t plane = 0; plane < 2 * size_t{shape.layers}; ++plane) {
    const size_t first = plane * shape.channels();
    if (plane % 2 == 0) {
      for (size_t c = 0; c < shape.channels(); ++c) groups.push_back({first + c, tokens, columns});
    } else {
      for (size_t t = 0; t < tokens; ++t) {
        groups.push_back({first + t * columns, shape.channels(), 1});
      }
    }
  }
  return groups;
}

}  // namespace

Status MinMaxScheme::calibrate(std::span<const KvSample> /*samples*/, const KvShape& shape) {
  shape_ = shape;
  return Status();
}

Outcome MinMaxScheme::code(const KvSample& sample, double /*quality*/) const {
  const std::vector<ValueGroup> groups = groupsOf(shape_, sample.values.size() / shape_.columns());
  BitWriter writer;
  for (const ValueGroup& group : groups) writeGroup(sample.values.data(), group, bits_, writer);
  const Bytes stream = writer.finish();
  Outcome out{stream.size(), std::vector<float>(sample.values.size())};
  BitReader reader(stream);
  for (const ValueGroup& group : groups) readGroup(reader, group, bits_, out.restored.data());
  return out;
}

}  // namespace spolia::bench
