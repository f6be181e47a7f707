#include "codec/scaled/scaled_frame.h"

#include <algorithm>
#include <cmath>

#include "codec/base/varint.h"
#include "codec/lossy/pack_rows.h"
#include "codec/lossy/transform_rows.h"
#include "codec/scaled/scaled_tables.h"
#include "codec/scaled/ternary_digits.h"
#include "codec/values/quant_rows.h"

namespace spolia::codec {
namespace {

static_assert(kStepGroup == kPackComponents);

// Further levels of groups of this class, at the level's own step, and above are ternary digits:
// entropy coding would gain 0.00002 bits of 1.58 each.
constexpr uint32_t kNoiseClass = 16;
// So that groups, which are read side by side, do not fall onto each other in a cache.
constexpr size_t kGroupPadding = 32;

Status corrupt(std::string what) {
  return Status(ErrorCode::kCorrupt, std::move(what));
}

uint32_t classAt(uint8_t stepClass, uint32_t levelsBelow) {
  return shiftedClass(stepClass, -kSplitClasses * static_cast<int32_t>(levelsBelow));
}

bool isNoise(uint8_t level, uint32_t stepClass) {
  return level > 0 && stepClass >= kNoiseClass;
}

// The groups of a level that are coefficients, as they lie at `values`; gives the number of others.
size_t takeCoded(const ScaledScratch& scratch, uint8_t level, uint32_t below, int16_t* values,
                 std::vector<CoefficientGroup>& coded) {
  coded.clear();
  size_t noise = 0;
  for (size_t g = 0; g < scratch.classes.size(); ++g) {
    const uint32_t stepClass = classAt(scratch.classes[g], below);
    if (isNoise(level, stepClass)) {
      ++noise;
    } else {
      coded.push_back({values + g * scratch.groupStride, kStepGroup, stepClass});
    }
  }
  return noise;
}

// ---- writing

// Values on the lattice that has so many finer ones.
const int16_t* latticeOf(const ScaledScratch& frame, uint32_t below, const LevelScratch& scratch) {
  return below == 0 ? frame.values.data() : scratch.coarser[below - 1].data();
}

// What a further level stores: digits of groups that are noise, and numbers of the others.
void splitValues(const ScaledScratch& frame, uint32_t below, size_t noise, LevelScratch& scratch) {
  const size_t each = size_t{frame.tokens} * kStepGroup;
  const size_t bytes = ternaryBytes(noise * each);
  scratch.digits.resize(bytes * kDigitsPerByte);
  uint8_t* to = scratch.digits.data();
  for (size_t g = 0; g < frame.classes.size(); ++g) {
    const size_t at = g * frame.groupStride;
    const int16_t* finer = latticeOf(frame, below, scratch) + at;
    const int16_t* coarser = latticeOf(frame, below + 1, scratch) + at;
    if (classAt(frame.classes[g], below) >= kNoiseClass) {
      splitDigits(finer, coarser, each, to);
      to += each;
      continue;
    }
    int16_t* difference = scratch.differences.data() + at;
    for (size_t i = 0; i < each; ++i) {
      difference[i] = static_cast<int16_t>(finer[i] - kLevelSplit * coarser[i]);
    }
  }
  // The last byte's digits that are none stand for 0.
  std::fill(to, scratch.digits.data() + scratch.digits.size(), uint8_t{1});
  scratch.packed.resize(bytes);
  packTernary(scratch.digits.data(), bytes, scratch.packed.data());
}

void writeScales(const ScaledScratch& scratch, bool offsets, ByteWriter& out) {
  for (const ScaledPlane& plane : scratch.planes) {
    for (uint32_t h = 0; h < plane.shape.kvHeads; ++h) {
      out.u16(bf16FromF32(scratch.step[plane.head + h]));
    }
    for (uint32_t c = 0; offsets && c < plane.shape.channels(); ++c) {
      const float offset = scratch.offset[plane.group * kStepGroup + c];
      writeVarint(zigzag(static_cast<int32_t>(offset)), out);
    }
    out.bytes(std::as_bytes(std::span(scratch.classes).subspan(plane.group, plane.groups())));
  }
}

// ---- reading

// A number of the frame; `same` becomes false when a level before had another.
template <typename T>
void take(T value, bool first, T& to, bool& same) {
  same &= first || value == to;
  to = value;
}

Status readPlaneScales(ByteReader& in, bool offsets, const ScaledPlane& plane,
                       ScaledScratch& scratch) {
  const bool first = scratch.levelsRead == 0;
  bool same = true;
  for (uint32_t h = 0; h < plane.shape.kvHeads; ++h) {
    const uint16_t bits = in.u16();
    if (bits == 0 || bits > kMaxBf16Bits) return corrupt("step: not above 0, or not finite");
    take(f32FromBf16(bits), first, scratch.step[plane.head + h], same);
  }
  float* offset = scratch.offset.data() + plane.group * kStepGroup;
  for (uint32_t c = 0; offsets && c < plane.shape.channels(); ++c) {
    uint32_t coded = 0;
    if (!readVarint(in, coded)) return corrupt("offset: malformed");
    const int32_t value = unzigzag(coded);
    if (value < -kMaxOffset || value > kMaxOffset) return corrupt("offset: out of range");
    offset[c] = static_cast<float>(value);
  }
  for (uint32_t g = 0; g < plane.groups(); ++g) {
    const uint8_t stepClass = in.u8();
    if (stepClass >= kStepClasses) return corrupt("class: expected at most 47");
    take(stepClass, first, scratch.classes[plane.group + g], same);
  }
  if (!in.ok()) return corrupt("steps: cut off");
  return same ? Status() : corrupt("steps: not those of the level before");
}

// Memory for values; zeros, where none were read.
void takeMemory(ScaledScratch& scratch, bool zeros) {
  if (!scratch.silent) return;
  const size_t size = scratch.classes.size() * scratch.groupStride;
  if (scratch.values.size() < size) scratch.values.resize(size);
  if (zeros) std::fill_n(scratch.values.begin(), size, int16_t{0});
  scratch.silent = false;
}

void addDigits(ByteSpan digits, uint32_t below, ScaledScratch& scratch) {
  if (digits.empty()) return;
  const size_t each = size_t{scratch.tokens} * kStepGroup;
  size_t at = 0;
  for (size_t g = 0; g < scratch.classes.size(); ++g) {
    if (classAt(scratch.classes[g], below) < kNoiseClass) continue;
    addTernary(digits, at, each, powerOfSplit(below),
               scratch.values.data() + g * scratch.groupStride);
    at += each;
  }
}

Status readValues(ByteReader& in, uint8_t level, uint32_t below, ScaledScratch& scratch) {
  const CoefficientPart part = level == 0 ? CoefficientPart::kWhole : CoefficientPart::kFine;
  const size_t noise = takeCoded(scratch, level, below, nullptr, scratch.coded);
  const ByteSpan digits = in.bytes(ternaryBytes(uint64_t{noise} * scratch.tokens * kStepGroup));
  if (!in.ok()) return corrupt("digits: cut off");
  if (!areTernary(digits)) return corrupt("digits: a byte above 242");
  if (in.remaining() == 0) return corrupt("coefficients: cut off");
  const uint8_t form = ByteReader(in).u8();
  const bool zeros = form == 0;
  if (zeros) in.skip(sizeof form);
  if (noise == 0 && zeros) return {};
  if (form == 1 &&
      !coefficientsFit(in.remaining(), scratch.coded, scratch.tokens, part, scaledPrepared())) {
    return corrupt("coefficients: too few bytes");
  }
  if (form > 1) return corrupt("coefficients: unknown form");
  takeMemory(scratch, level > 0 || zeros);
  addDigits(digits, below, scratch);
  if (zeros) return {};
  takeCoded(scratch, level, below, scratch.values.data(), scratch.coded);
  return readCoefficients(in, scratch.coded, scratch.tokens, part, powerOfSplit(below),
                          scaledPrepared(), scratch.coding);
}

}  // namespace

size_t leastScaledBytes(std::span<const LayerShape> planes) {
  size_t bytes = 0;
  for (const LayerShape& shape : planes) {
    bytes += size_t{2} * shape.kvHeads + ScaledPlane{shape}.groups();
  }
  return bytes;
}

void layOut(std::span<const LayerShape> planes, uint32_t tokens, ScaledScratch& scratch) {
  scratch.tokens = tokens;
  scratch.planes.clear();
  size_t heads = 0;
  size_t groups = 0;
  for (const LayerShape& shape : planes) {
    const ScaledPlane& plane = scratch.planes.emplace_back(ScaledPlane{shape, heads, groups});
    heads += shape.kvHeads;
    groups += plane.groups();
  }
  scratch.step.assign(heads, 0);
  scratch.offset.assign(groups * kStepGroup, 0);
  scratch.classes.assign(groups, 0);
  scratch.groupStride = size_t{tokens} * kStepGroup + kGroupPadding;
  scratch.levelsRead = 0;
  scratch.silent = true;
}

void takeLattices(const ScaledScratch& frame, uint8_t levels, LevelScratch& scratch) {
  const size_t size = frame.classes.size() * frame.groupStride;
  for (uint32_t below = 1; below < levels; ++below) {
    std::vector<int16_t>& to = scratch.coarser[below - 1];
    to.resize(std::max(to.size(), size));
    levelOf(latticeOf(frame, below - 1, scratch), size, 1, false, to.data());
  }
  scratch.differences.resize(std::max(scratch.differences.size(), size));
}

void writeScaledFrame(uint8_t level, uint8_t levels, const ScaledScratch& frame,
                      LevelScratch& scratch, ByteWriter& out) {
  const uint32_t below = levels - 1u - level;
  writeScales(frame, level == 0, out);
  // Whole values are only read.
  int16_t* values = level > 0 ? scratch.differences.data()
                              : const_cast<int16_t*>(latticeOf(frame, below, scratch));
  const size_t noise = takeCoded(frame, level, below, values, scratch.coded);
  if (level > 0) {
    splitValues(frame, below, noise, scratch);
    out.bytes(scratch.packed);
  }
  writeCoefficients(scratch.coded, frame.tokens,
                    level == 0 ? CoefficientPart::kWhole : CoefficientPart::kFine, scaledPrepared(),
                    scratch.coding, out);
}

Status readScaledFrame(ByteReader& in, uint8_t level, uint8_t levels, ScaledScratch& scratch) {
  for (const ScaledPlane& plane : scratch.planes) {
    SPOLIA_RETURN_IF_ERROR(readPlaneScales(in, level == 0, plane, scratch));
  }
  SPOLIA_RETURN_IF_ERROR(readValues(in, level, levels - 1u - level, scratch));
  ++scratch.levelsRead;
  return {};
}

void restoreScaled(const ScaledScratch& scratch, size_t plane, bool onto, const PlaneWrite& to) {
  const ScaledPlane& from = scratch.planes[plane];
  StepRows rows;
  rows.count = from.shape.headDim;
  if (!scratch.silent) {
    rows.steps = scratch.values.data() + from.group * scratch.groupStride;
    rows.groupStride = scratch.groupStride;
  }
  // A few tokens of all heads, which mostly lie side by side.
  for (uint32_t begin = to.begin; begin < to.end; begin += kStepTokens) {
    const uint32_t end = std::min(to.end, begin + kStepTokens);
    for (uint32_t h = 0; h < from.shape.kvHeads; ++h) {
      rows.channel = h * from.shape.headDim;
      rows.offset = scratch.offset.data() + from.group * kStepGroup + rows.channel;
      rows.step = scratch.step[from.head + h];
      restoreSteps(rows, begin, end, onto, to.rows.type, to.rows.row(h, begin - to.begin),
                   to.rows.tokenStride);
    }
  }
}

}  // namespace spolia::codec
