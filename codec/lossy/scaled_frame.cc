#include "codec/lossy/scaled_frame.h"

#include <algorithm>
#include <cmath>

#include "codec/base/varint.h"
#include "codec/lossy/ternary_digits.h"
#include "codec/lossy/transform_rows.h"
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

int16_t powerOfSplit(uint32_t n) {
  return n == 0 ? 1 : n == 1 ? kLevelSplit : kLevelSplit * kLevelSplit;
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

// One level's numbers.
std::vector<int16_t> valuesOf(const ScaledScratch& scratch, uint8_t level, uint32_t below) {
  const auto end = scratch.classes.size() * scratch.groupStride;
  std::vector<int16_t> values(scratch.values.begin(),
                              scratch.values.begin() + static_cast<ptrdiff_t>(end));
  for (uint32_t i = 0; i < below; ++i) thirds(values.data(), values.size(), values.data());
  if (level > 0) {
    std::vector<int16_t> above(values.size());
    thirds(values.data(), values.size(), above.data());
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = static_cast<int16_t>(values[i] - kLevelSplit * above[i]);
    }
  }
  return values;
}

void writeDigits(const ScaledScratch& scratch, uint32_t below, const std::vector<int16_t>& values,
                 size_t noise, ByteWriter& out) {
  if (noise == 0) return;
  const size_t each = size_t{scratch.tokens} * kStepGroup;
  const size_t bytes = ternaryBytes(noise * each);
  // The last byte's digits that are none stand for 0.
  std::vector<uint8_t> digits(bytes * kDigitsPerByte, 1);
  uint8_t* to = digits.data();
  for (size_t g = 0; g < scratch.classes.size(); ++g) {
    if (classAt(scratch.classes[g], below) < kNoiseClass) continue;
    const int16_t* from = values.data() + g * scratch.groupStride;
    for (size_t i = 0; i < each; ++i) to[i] = static_cast<uint8_t>(from[i] + 1);
    to += each;
  }
  std::vector<std::byte> packed(bytes);
  packTernary(digits.data(), bytes, packed.data());
  out.bytes(packed);
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

void writeScaledFrame(uint8_t level, uint8_t levels, const ScaledScratch& scratch,
                      ByteWriter& out) {
  const uint32_t below = levels - 1u - level;
  writeScales(scratch, level == 0, out);
  std::vector<int16_t> values = valuesOf(scratch, level, below);
  std::vector<CoefficientGroup> coded;
  const size_t noise = takeCoded(scratch, level, below, values.data(), coded);
  writeDigits(scratch, below, values, noise, out);
  writeCoefficients(coded, scratch.tokens,
                    level == 0 ? CoefficientPart::kWhole : CoefficientPart::kFine, scaledPrepared(),
                    out);
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
  for (uint32_t h = 0; h < from.shape.kvHeads; ++h) {
    rows.channel = h * from.shape.headDim;
    rows.offset = scratch.offset.data() + from.group * kStepGroup + rows.channel;
    rows.step = scratch.step[from.head + h];
    restoreSteps(rows, to.begin, to.end, onto, to.rows.type, to.rows.row(h, 0),
                 to.rows.tokenStride);
  }
}

}  // namespace spolia::codec
