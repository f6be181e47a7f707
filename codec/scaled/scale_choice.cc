#include "codec/scaled/scale_choice.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "codec/values/quant_rows.h"
#include "codec/values/step_columns.h"

namespace spolia::codec {
namespace {

// Standard deviation by mean distance, of a normal distribution: the square root of pi / 2.
// Distances rather than squares, because a few tokens that others attend to whatever they say are
// so far out that squares would see nothing else.
constexpr double kSpreadByDistance = 1.2533;
// Steps that a value may be away from its channel's mean: the mean is rounded to a step, and so is
// the value.
constexpr double kFarthestSteps = kMaxCoefficient - 2;
// Steps that a mean may be away from zero. Also what a channel of one value is known by.
constexpr double kFarthestOffset = kMaxOffset - 2 * (kMaxCoefficient + 1);
// In the unit of the columns: the inverse of a smaller one would be no finite number.
constexpr double kLeastStep = 0x1p-120;
// Values beyond this are counted in units of kManyUnit: sums of them stay finite.
constexpr float kMany = 0x1p96f;
constexpr double kManyUnit = 0x1p64;
// Columns that are worth a pass over them.
constexpr uint32_t kPassColumns = 64;

// Heads that are analysed at a time: whole groups of channels, and some columns, or all.
uint32_t headsAtATime(const LayerShape& shape) {
  for (uint32_t heads = 1; heads < shape.kvHeads; ++heads) {
    const uint32_t columns = heads * shape.headDim;
    if (columns % kStepGroup == 0 && columns >= kPassColumns) return heads;
  }
  return shape.kvHeads;
}

// The next bf16 value not below a positive one, or the largest.
float ceilBf16(double step) {
  const float limit = f32FromBf16(kMaxBf16Bits);
  if (step >= double{limit}) return limit;
  auto rounded = static_cast<float>(step);
  if (double{rounded} < step) rounded = std::nextafter(rounded, limit);
  return std::bit_cast<float>((std::bit_cast<uint32_t>(rounded) + 0xffff) & 0xffff0000);
}

// Some heads of a plane, as columns.
struct Part {
  uint32_t head = 0;  // the first
  uint32_t heads = 0;
  uint32_t headDim = 0;
  uint32_t columns = 0;  // whole groups
  double unit = 1;       // what the columns are counted in

  uint32_t channels() const { return heads * headDim; }
};

// Apart by so much that the rows of one column spread over a cache.
size_t strideOf(const Part& part) {
  return (part.columns + 15) / 16 * 16 + 16;
}

// Rows of one head lie too far apart for the machine to see what comes next.
constexpr uint32_t kRowsAhead = 8;
void prefetchRow(const std::byte* row, size_t bytes) {
  constexpr size_t kLine = 64;
  for (size_t at = 0; at < bytes; at += kLine) __builtin_prefetch(row + at);
}

ValueMatrix gather(const PlaneRows<const std::byte>& rows, const Part& part, uint32_t tokens,
                   std::vector<float>& columns) {
  const size_t stride = strideOf(part);
  columns.resize(stride * tokens);
  const size_t rowBytes = part.headDim * elementSize(rows.type);
  for (uint32_t t = 0; t < tokens; ++t) {
    float* to = columns.data() + t * stride;
    for (uint32_t h = 0; h < part.heads; ++h, to += part.headDim) {
      if (t + kRowsAhead < tokens) prefetchRow(rows.row(part.head + h, t + kRowsAhead), rowBytes);
      widenRow(rows.row(part.head + h, t), rows.type, part.headDim, to);
    }
    std::fill_n(to, part.columns - part.channels(), 0.0f);
  }
  return {columns.data(), stride, tokens, part.columns};
}

double chooseStep(const Part& part, uint32_t head, double kappa, uint32_t tokens,
                  const ScaleScratch& scratch) {
  double distance = 0;
  double farthest = 0;
  double mean = 0;
  for (uint32_t c = head * part.headDim; c < (head + 1) * part.headDim; ++c) {
    // Of one token the distance from zero: it has no other.
    distance += std::fabs(double{tokens == 1 ? scratch.mean[c] : scratch.deviation[c]});
    farthest = std::max(farthest, double{scratch.farthest[c]});
    mean = std::max(mean, std::fabs(double{scratch.mean[c]}));
  }
  const double spread = kSpreadByDistance * distance / part.headDim;
  return std::max({kappa * spread, farthest / kFarthestSteps, mean / kFarthestOffset, kLeastStep});
}

// Steps, offsets and classes of a part, from what its columns are like.
void chooseScales(const Part& part, double kappa, const ScaledPlane& plane, ScaleScratch& scratch,
                  ScaledScratch& frame) {
  const size_t first = plane.group * kStepGroup + size_t{part.head} * part.headDim;
  std::fill(scratch.inverse.begin(), scratch.inverse.end(), 0.0f);
  for (uint32_t h = 0; h < part.heads; ++h) {
    const float step = ceilBf16(chooseStep(part, h, kappa, frame.tokens, scratch) * part.unit);
    frame.step[plane.head + part.head + h] = step;
    const auto inverse = static_cast<float>(part.unit / double{step});
    for (uint32_t c = h * part.headDim; c < (h + 1) * part.headDim; ++c) {
      scratch.inverse[c] = inverse;
      scratch.offset[c] =
          static_cast<int32_t>(std::lrint(double{scratch.mean[c]} * double{inverse}));
      frame.offset[first + c] = static_cast<float>(scratch.offset[c]);
    }
  }
  for (uint32_t g = 0; g < part.columns / kStepGroup; ++g) {
    double square = 0;
    for (uint32_t c = g * kStepGroup; c < (g + 1) * kStepGroup; ++c) {
      const double spread =
          kSpreadByDistance * double{scratch.deviation[c]} * double{scratch.inverse[c]};
      square += spread * spread;
    }
    frame.classes[first / kStepGroup + g] =
        static_cast<uint8_t>(classOf(static_cast<float>(std::sqrt(square / kStepGroup))));
  }
}

}  // namespace

Status analyseScaled(const PlaneRows<const std::byte>& rows, double kappa, size_t plane,
                     ScaleScratch& scratch, ScaledScratch& frame) {
  const ScaledPlane& to = frame.planes[plane];
  const uint32_t together = headsAtATime(to.shape);
  frame.values.resize(std::max(frame.values.size(), frame.classes.size() * frame.groupStride));
  for (uint32_t head = 0; head < to.shape.kvHeads; head += together) {
    Part part{head, std::min(together, to.shape.kvHeads - head), to.shape.headDim};
    part.columns = (part.channels() + kStepGroup - 1) / kStepGroup * kStepGroup;
    const ValueMatrix values = gather(rows, part, frame.tokens, scratch.columns);
    const float most = largestMagnitude(values);
    if (!std::isfinite(most)) {
      return Status(ErrorCode::kInvalidArgument,
                    "values: an infinity or NaN; expected finite ones");
    }
    if (most > kMany) {
      part.unit = kManyUnit;
      for (float& v : scratch.columns) v *= static_cast<float>(1 / kManyUnit);
    }
    for (auto* numbers : {&scratch.mean, &scratch.deviation, &scratch.farthest, &scratch.inverse}) {
      numbers->resize(part.columns);
    }
    scratch.offset.assign(part.columns, 0);
    measureColumns(values, scratch.mean.data(), scratch.deviation.data(), scratch.farthest.data());
    chooseScales(part, kappa, to, scratch, frame);
    const size_t group = to.group + size_t{head} * to.shape.headDim / kStepGroup;
    quantiseColumns(values, scratch.inverse.data(), scratch.offset.data(),
                    frame.values.data() + group * frame.groupStride, frame.groupStride);
  }
  return {};
}

}  // namespace spolia::codec
