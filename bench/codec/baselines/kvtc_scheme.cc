#include "bench/codec/baselines/kvtc_scheme.h"

#include <algorithm>

#include "bench/codec/baselines/bit_packing.h"
#include "bench/codec/baselines/deflate.h"
#include "bench/codec/baselines/group_quant.h"
#include "bench/codec/baselines/kvtc_levels.h"
#include "codec/base/check.h"

namespace spolia::bench {

using engine::Matrix;

namespace {

constexpr size_t kTokensLookedAt = 1024;  // of the calibration text, to choose steps and bits
constexpr unsigned kMostBits = 8;
constexpr double kSideBits = 32;  // least value and step of a group of one token

enum class Packing : uint8_t { kBits, kBytes };

// Every so many tokens of all samples, one behind the other.
std::vector<float> someTokens(std::span<const KvSample> samples, size_t columns) {
  size_t tokens = 0;
  for (const KvSample& sample : samples) tokens += sample.values.size() / columns;
  const size_t stride = std::max<size_t>(1, tokens / kTokensLookedAt);
  std::vector<float> out;
  size_t token = 0;
  for (const KvSample& sample : samples) {
    for (size_t t = 0; t < sample.values.size() / columns; ++t, ++token) {
      if (token % stride != 0) continue;
      const float* row = sample.values.data() + t * columns;
      out.insert(out.end(), row, row + columns);
    }
  }
  return out;
}

std::vector<float> columnOf(const Matrix& matrix, size_t column) {
  std::vector<float> out;
  for (size_t r = 0; r < matrix.rows(); ++r) out.push_back(matrix.row(r)[column]);
  return out;
}

Bytes packed(std::span<const uint8_t> levels, const std::vector<ComponentGroup>& groups,
             size_t tokens, Packing packing) {
  BitWriter out;
  size_t at = 0;
  for (const ComponentGroup& group : groups) {
    const unsigned bits = packing == Packing::kBits ? group.bits : 8;
    for (size_t i = 0; group.bits > 0 && i < group.count * tokens; ++i) out.put(levels[at++], bits);
  }
  return out.finish();
}

}  // namespace

Status KvtcScheme::calibrate(std::span<const KvSample> samples, const KvShape& shape) {
  shape_ = shape;
  SPOLIA_ASSIGN_OR_RETURN(pca_, Pca::fit(samples, shape));
  const Matrix looked = pca_->project(someTokens(samples, shape.columns()), shape.columns());
  AllocationChoices choices;
  choices.components = shape.columns();
  choices.bits = {0, 1, 2, 3, 4, 5, 6, 7, kMostBits};
  choices.sizes = {4, 16, 64, 256};
  choices.sideBits = kSideBits;
  if (form_ == Form::kKind) {
    chooseSteps(looked);
    choices.sizes = {4};
    choices.sideBits = 0;
  }
  choices.error = [&](const ComponentGroup& group) { return errorOf(looked, group); };
  allocation_ = std::make_unique<const BitAllocation>(choices);
  return Status();
}

void KvtcScheme::chooseSteps(const Matrix& coefficients) {
  steps_.assign(kMostBits + 1, std::vector<float>(coefficients.columns()));
  for (size_t c = 0; c < coefficients.columns(); ++c) {
    const std::vector<float> values = columnOf(coefficients, c);
    for (unsigned bits = 1; bits <= kMostBits; ++bits) {
      steps_[bits][c] = CentredLevels::bestFor(values, bits).step;
    }
  }
}

double KvtcScheme::errorOf(const Matrix& coefficients, const ComponentGroup& group) const {
  double error = 0;
  for (size_t t = 0; t < coefficients.rows(); ++t) {
    const std::span<const float> values{coefficients.row(t) + group.first, group.count};
    RangeLevels range;
    if (group.bits > 0 && form_ == Form::kAsPublished) range = RangeLevels(values, group.bits);
    for (size_t i = 0; i < values.size(); ++i) {
      double value = 0;
      if (group.bits > 0 && form_ == Form::kAsPublished) {
        value = range.valueOf(range.levelOf(values[i], group.bits));
      } else if (group.bits > 0) {
        const CentredLevels levels{steps_[group.bits][group.first + i]};
        value = levels.valueOf(levels.levelOf(values[i], group.bits), group.bits);
      }
      error += (values[i] - value) * (values[i] - value);
    }
  }
  return error;
}

void KvtcScheme::prepare(double quality) {
  groups_ = allocation_->within(16.0 * static_cast<double>(shape_.columns()) / quality);
  components_ = 0;
  for (const ComponentGroup& group : groups_) {
    if (group.bits > 0) components_ = group.first + group.count;
  }
}

// Least values and steps of all groups, group by group; then a byte for the packing, and levels,
// group by group and component by component. The two parts are deflated together.
Bytes KvtcScheme::encode(const Matrix& coefficients) const {
  BitWriter side;
  std::vector<uint8_t> levels;
  const size_t tokens = coefficients.rows();
  for (const ComponentGroup& group : groups_) {
    if (group.bits == 0) continue;
    std::vector<RangeLevels> ranges(tokens);
    for (size_t t = 0; form_ == Form::kAsPublished && t < tokens; ++t) {
      const RangeLevels range({coefficients.row(t) + group.first, group.count}, group.bits);
      ranges[t].least = side.putHalf(range.least);
      ranges[t].step = side.putHalf(range.step);
    }
    for (size_t c = group.first; c < group.first + group.count; ++c) {
      for (size_t t = 0; t < tokens; ++t) {
        const float value = coefficients.row(t)[c];
        levels.push_back(form_ == Form::kAsPublished
                             ? ranges[t].levelOf(value, group.bits)
                             : CentredLevels{steps_[group.bits][c]}.levelOf(value, group.bits));
      }
    }
  }
  const Bytes scales = side.finish();
  Bytes best;
  for (const Packing packing : {Packing::kBits, Packing::kBytes}) {
    Bytes body = scales;
    body.push_back(static_cast<std::byte>(packing));
    const Bytes packedLevels = packed(levels, groups_, tokens, packing);
    body.insert(body.end(), packedLevels.begin(), packedLevels.end());
    // In front: how long the body is.
    ByteWriter out;
    out.u32(static_cast<uint32_t>(body.size()));
    out.bytes(deflated(body));
    if (best.empty() || out.size() < best.size()) best = out.take();
  }
  return best;
}

Matrix KvtcScheme::decode(ByteSpan stream, size_t tokens) const {
  ByteReader reader(stream);
  const size_t size = reader.u32();
  const Bytes body = inflated(reader.bytes(reader.remaining()), size);
  size_t scaleBytes = 0;
  for (const ComponentGroup& group : groups_) {
    if (group.bits > 0 && form_ == Form::kAsPublished) scaleBytes += 4 * tokens;
  }
  SPOLIA_CHECK(body.size() > scaleBytes);
  const auto packing = static_cast<Packing>(body[scaleBytes]);
  BitReader scales(body);
  BitReader levels(ByteSpan(body).subspan(scaleBytes + 1));
  Matrix out = Matrix::zeroed(tokens, components_);
  for (const ComponentGroup& group : groups_) {
    if (group.bits == 0) continue;
    std::vector<RangeLevels> ranges(tokens);
    for (size_t t = 0; form_ == Form::kAsPublished && t < tokens; ++t) {
      ranges[t].least = scales.getHalf();
      ranges[t].step = scales.getHalf();
    }
    for (size_t c = group.first; c < group.first + group.count; ++c) {
      for (size_t t = 0; t < tokens; ++t) {
        const auto level =
            static_cast<uint8_t>(levels.get(packing == Packing::kBits ? group.bits : 8));
        out.row(t)[c] = form_ == Form::kAsPublished
                            ? ranges[t].valueOf(level)
                            : CentredLevels{steps_[group.bits][c]}.valueOf(level, group.bits);
      }
    }
  }
  return out;
}

Outcome KvtcScheme::code(const KvSample& sample, double /*quality*/) const {
  const size_t columns = shape_.columns(), tokens = sample.values.size() / columns;
  const size_t exact = std::min(exactTokens(), tokens) * columns;
  const ValueGroup first{0, exact, 1};
  const std::span<const float> rest = std::span(sample.values).subspan(exact);
  BitWriter writer;
  writeHalves(sample.values.data(), first, writer);
  const Bytes halves = writer.finish();
  const Bytes stream = encode(pca_->project(rest, components_));

  const std::vector<float> decoded = pca_->restore(decode(stream, rest.size() / columns));
  Outcome out{halves.size() + stream.size(), std::vector<float>(exact)};
  BitReader reader(halves);
  readHalves(reader, first, out.restored.data());
  out.restored.insert(out.restored.end(), decoded.begin(), decoded.end());
  return out;
}

}  // namespace spolia::bench
