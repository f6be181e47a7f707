#include "bench/codec/baselines/kivi_scheme.h"

#include <algorithm>

namespace spolia::bench {

namespace {

constexpr size_t kKiviGroup = 32;
constexpr size_t kResidualTokens = 32;

}  // namespace

Status KiviScheme::calibrate(std::span<const KvSample> /*samples*/, const KvShape& shape) {
  shape_ = shape;
  return Status();
}

KiviScheme::Groups KiviScheme::groupsOf(size_t tokens) const {
  const size_t columns = shape_.columns(), channels = shape_.channels();
  const size_t kept = residual_ == Residual::kNone ? 0 : std::min(tokens, kResidualTokens);
  const size_t quantised = tokens - kept;
  Groups groups;
  for (size_t plane = 0; plane < 2 * size_t{shape_.layers}; ++plane) {
    const size_t first = plane * channels;
    if (plane % 2 == 0) {
      for (size_t t = 0; t < quantised; t += kKiviGroup) {
        const size_t count = std::min(kKiviGroup, quantised - t);
        for (size_t c = 0; c < channels; ++c) {
          groups.quantised.push_back({first + t * columns + c, count, columns});
        }
      }
    } else {
      for (size_t t = 0; t < quantised; ++t) {
        for (size_t c = 0; c < channels; c += kKiviGroup) {
          groups.quantised.push_back(
              {first + t * columns + c, std::min(kKiviGroup, channels - c), 1});
        }
      }
    }
  }
  if (kept > 0) groups.exact.push_back({quantised * columns, kept * columns, 1});
  return groups;
}

Outcome KiviScheme::code(const KvSample& sample, double quality) const {
  const auto bits = static_cast<unsigned>(quality);
  const Groups groups = groupsOf(sample.values.size() / shape_.columns());
  BitWriter writer;
  for (const ValueGroup& group : groups.quantised) {
    writeGroup(sample.values.data(), group, bits, writer);
  }
  for (const ValueGroup& group : groups.exact) writeHalves(sample.values.data(), group, writer);
  const Bytes stream = writer.finish();
  Outcome out{stream.size(), std::vector<float>(sample.values.size())};
  BitReader reader(stream);
  for (const ValueGroup& group : groups.quantised) {
    readGroup(reader, group, bits, out.restored.data());
  }
  for (const ValueGroup& group : groups.exact) readHalves(reader, group, out.restored.data());
  return out;
}

}  // namespace spolia::bench
