#include "engine/products/block_panels.h"

#include "engine/products/block_layout.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/products/block_panels.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace spolia::engine {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::CappedTag<float, 16>;
using DInt = hn::RebindToSigned<D>;
using V = hn::Vec<D>;
using VInt = hn::Vec<DInt>;

constexpr size_t kOutputs = BlockLayout::kOutputs;
constexpr size_t kLanes = hn::MaxLanes(D());

// Registers for sums: 16 of 32, 8 of 16.
constexpr size_t kSums = HWY_TARGET <= HWY_AVX3 ? 16 : 8;

HWY_INLINE VInt unsignedBytes(const std::byte* at) {
  const hn::Rebind<uint8_t, D> d8;
  return hn::PromoteTo(DInt(), hn::LoadU(d8, reinterpret_cast<const uint8_t*>(at)));
}

HWY_INLINE VInt signedBytes(const std::byte* at) {
  const hn::Rebind<int8_t, D> d8;
  return hn::PromoteTo(DInt(), hn::LoadU(d8, reinterpret_cast<const int8_t*>(at)));
}

// A vector of f16. Without the instruction Highway's emulation is wrong for infinities: here the
// exponent is put right by a product with a power of two, which also makes numbers of what is
// subnormal.
HWY_INLINE V halves(const std::byte* at) {
  const D d;
#if HWY_TARGET <= HWY_AVX2
  const hn::Rebind<hwy::float16_t, D> d16;
  return hn::PromoteTo(d, hn::LoadU(d16, reinterpret_cast<const hwy::float16_t*>(at)));
#else
  const hn::RebindToUnsigned<D> bitsOf;
  const hn::Rebind<uint16_t, decltype(bitsOf)> d16;
  const auto bits = hn::PromoteTo(bitsOf, hn::LoadU(d16, reinterpret_cast<const uint16_t*>(at)));
  const auto magnitude = hn::And(bits, hn::Set(bitsOf, 0x7fff));
  const auto shifted = hn::ShiftLeft<13>(magnitude);
  const V finite = hn::Mul(hn::BitCast(d, shifted), hn::Set(d, 0x1p112f));
  const V other = hn::BitCast(d, hn::Or(shifted, hn::Set(bitsOf, 0x7f800000)));
  const auto isFinite = hn::Lt(hn::BitCast(DInt(), magnitude), hn::Set(DInt(), 0x7c00));
  return hn::CopySign(hn::IfThenElse(hn::RebindMask(d, isFinite), finite, other),
                      hn::BitCast(d, hn::ShiftLeft<16>(bits)));
#endif
}

// How the values of a group are read. A step makes kEach vectors of integers, of inputs `step`,
// kSteps + step, 2 kSteps + step, ...; `values` points at the vector's outputs in the first row.
template <WeightType kType>
struct Steps {  // Q4_0, Q4_K
  static constexpr size_t kSteps = 16, kEach = 2;
  static HWY_INLINE void read(const std::byte* values, size_t step, VInt (&q)[kEach]) {
    const VInt both = unsignedBytes(values + step * kOutputs);
    q[0] = hn::And(both, hn::Set(DInt(), 15));
    q[1] = hn::ShiftRight<4>(both);
    if (kType == WeightType::kQ4_0) {
      const VInt zero = hn::Set(DInt(), 8);
      q[0] = hn::Sub(q[0], zero);
      q[1] = hn::Sub(q[1], zero);
    }
  }
};

template <>
struct Steps<WeightType::kQ8_0> {
  static constexpr size_t kSteps = 32, kEach = 1;
  static HWY_INLINE void read(const std::byte* values, size_t step, VInt (&q)[kEach]) {
    q[0] = signedBytes(values + step * kOutputs);
  }
};

template <>
struct Steps<WeightType::kQ6K> {
  static constexpr size_t kSteps = 4, kEach = 4;
  static HWY_INLINE void read(const std::byte* values, size_t step, VInt (&q)[kEach]) {
    const VInt low = hn::Set(DInt(), 15), two = hn::Set(DInt(), 0x30), zero = hn::Set(DInt(), 32);
    const VInt a = unsignedBytes(values + step * kOutputs);
    const VInt b = unsignedBytes(values + (4 + step) * kOutputs);
    const VInt top = unsignedBytes(values + (8 + step) * kOutputs);
    q[0] = hn::Or(hn::And(a, low), hn::And(hn::ShiftLeft<4>(top), two));
    q[1] = hn::Or(hn::And(b, low), hn::And(hn::ShiftLeft<2>(top), two));
    q[2] = hn::Or(hn::ShiftRight<4>(a), hn::And(top, two));
    q[3] = hn::Or(hn::ShiftRight<4>(b), hn::And(hn::ShiftRight<2>(top), two));
    for (VInt& value : q) value = hn::Sub(value, zero);
  }
};

// Scale and minimum of a vector of outputs.
template <WeightType kType>
struct Scales {
  static constexpr BlockLayout kLayout = blockLayout(kType);

  HWY_INLINE Scales(const std::byte* tile, const std::byte* group, size_t output)
      : scale(halves(tile + 2 * output)), minimum(hn::Zero(D())) {
    const D d;
    if constexpr (kType == WeightType::kQ6K) {
      scale = hn::Mul(scale, hn::ConvertTo(d, signedBytes(group + output)));
    } else if constexpr (kLayout.groupScales) {
      scale = hn::Mul(scale, hn::ConvertTo(d, unsignedBytes(group + output)));
    }
    if constexpr (kLayout.minimums) {
      minimum = hn::Mul(halves(tile + 2 * (kOutputs + output)),
                        hn::ConvertTo(d, unsignedBytes(group + kOutputs + output)));
    }
  }

  V scale, minimum;
};

// Calls body(tile, group, first input of the group) for each group of a panel.
template <WeightType kType, typename Body>
HWY_INLINE void forGroups(const std::byte* panel, size_t inputs, const Body& body) {
  constexpr BlockLayout kLayout = blockLayout(kType);
  for (size_t input = 0; input < inputs; panel += kLayout.tileBytes()) {
    const std::byte* group = panel + kLayout.tileHead();
    for (size_t g = 0; g < kLayout.inputs / kLayout.group; ++g, group += kLayout.groupBytes()) {
      body(panel, group, input);
      input += kLayout.group;
    }
  }
}

template <WeightType kType>
void widenPanel(const std::byte* panel, size_t inputs, float* out) {
  using Step = Steps<kType>;
  constexpr BlockLayout kLayout = blockLayout(kType);
  const D d;
  forGroups<kType>(panel, inputs, [&](const std::byte* tile, const std::byte* group, size_t input) {
    for (size_t output = 0; output < kOutputs; output += kLanes) {
      const Scales<kType> scales(tile, group, output);
      for (size_t step = 0; step < Step::kSteps; ++step) {
        VInt q[Step::kEach];
        Step::read(group + kLayout.groupHead() + output, step, q);
        for (size_t e = 0; e < Step::kEach; ++e) {
          V value = hn::Mul(scales.scale, hn::ConvertTo(d, q[e]));
          if (kLayout.minimums) value = hn::Sub(value, scales.minimum);
          hn::StoreU(value, d, out + (input + e * Step::kSteps + step) * kOutputs + output);
        }
      }
    }
  });
}

// Rows from `row` on, kRows of them, and kVectors vectors of outputs from `output` on. Arrays of
// vectors of constant bounds are unrolled into registers.
template <WeightType kType, size_t kRows, size_t kVectors>
HWY_INLINE void addTile(const MatrixView& in, size_t row, const std::byte* panel, size_t output,
                        float* sums) {
  using Step = Steps<kType>;
  constexpr BlockLayout kLayout = blockLayout(kType);
  const D d;
  const auto addGroup = [&](const std::byte* tile, const std::byte* group, size_t input) {
    const float* from[kRows];
    V ofGroup[kRows][kVectors];
#pragma GCC unroll 8
    for (size_t r = 0; r < kRows; ++r) {
      from[r] = in.row(row + r) + input;
#pragma GCC unroll 8
      for (size_t v = 0; v < kVectors; ++v) ofGroup[r][v] = hn::Zero(d);
    }
    for (size_t step = 0; step < Step::kSteps; ++step) {
#pragma GCC unroll 8
      for (size_t v = 0; v < kVectors; ++v) {
        VInt q[Step::kEach];
        Step::read(group + kLayout.groupHead() + output + v * kLanes, step, q);
#pragma GCC unroll 4
        for (size_t e = 0; e < Step::kEach; ++e) {
          const V weight = hn::ConvertTo(d, q[e]);
#pragma GCC unroll 8
          for (size_t r = 0; r < kRows; ++r) {
            const V value = hn::Set(d, from[r][e * Step::kSteps + step]);
            ofGroup[r][v] = hn::MulAdd(value, weight, ofGroup[r][v]);
          }
        }
      }
    }
#pragma GCC unroll 8
    for (size_t r = 0; r < kRows; ++r) {
      V all = hn::Zero(d);
      if constexpr (kLayout.minimums) {
        for (size_t i = 0; i < kLayout.group; i += kLanes) {
          all = hn::Add(all, hn::LoadU(d, from[r] + i));
        }
        all = hn::SumOfLanes(d, all);
      }
#pragma GCC unroll 8
      for (size_t v = 0; v < kVectors; ++v) {
        const Scales<kType> scales(tile, group, output + v * kLanes);
        float* sum = sums + (row + r) * kOutputs + output + v * kLanes;
        V added = hn::MulAdd(ofGroup[r][v], scales.scale, hn::LoadU(d, sum));
        if constexpr (kLayout.minimums) added = hn::NegMulAdd(all, scales.minimum, added);
        hn::StoreU(added, d, sum);
      }
    }
  };
  forGroups<kType>(panel, in.columns(), addGroup);
}

template <WeightType kType, size_t kRows>
void addRows(const MatrixView& in, size_t row, const std::byte* panel, float* sums) {
  constexpr size_t kAll = kOutputs / kLanes;
  constexpr size_t kFit = kSums / kRows == 0 ? 1 : kSums / kRows;
  constexpr size_t kVectors = kFit < kAll ? kFit : kAll;
  for (size_t output = 0; output < kOutputs; output += kVectors * kLanes) {
    addTile<kType, kRows, kVectors>(in, row, panel, output, sums);
  }
}

template <WeightType kType>
void addPanel(const MatrixView& in, const std::byte* panel, float* sums) {
  size_t row = 0;
  const size_t rows = in.rows();
  for (; row + 8 <= rows; row += 8) addRows<kType, 8>(in, row, panel, sums);
  for (; row + 4 <= rows; row += 4) addRows<kType, 4>(in, row, panel, sums);
  for (; row + 2 <= rows; row += 2) addRows<kType, 2>(in, row, panel, sums);
  for (; row < rows; ++row) addRows<kType, 1>(in, row, panel, sums);
}

void widenPanelHere(WeightType type, const std::byte* panel, size_t inputs, float* out) {
  switch (type) {
    case WeightType::kQ8_0:
      return widenPanel<WeightType::kQ8_0>(panel, inputs, out);
    case WeightType::kQ4_0:
      return widenPanel<WeightType::kQ4_0>(panel, inputs, out);
    case WeightType::kQ4K:
      return widenPanel<WeightType::kQ4K>(panel, inputs, out);
    default:
      return widenPanel<WeightType::kQ6K>(panel, inputs, out);
  }
}

void addPanelHere(const MatrixView& in, WeightType type, const std::byte* panel, float* sums) {
  switch (type) {
    case WeightType::kQ8_0:
      return addPanel<WeightType::kQ8_0>(in, panel, sums);
    case WeightType::kQ4_0:
      return addPanel<WeightType::kQ4_0>(in, panel, sums);
    case WeightType::kQ4K:
      return addPanel<WeightType::kQ4K>(in, panel, sums);
    default:
      return addPanel<WeightType::kQ6K>(in, panel, sums);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace spolia::engine
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace spolia::engine {

HWY_EXPORT(widenPanelHere);
HWY_EXPORT(addPanelHere);

void widenBlockPanel(WeightType type, const std::byte* panel, size_t inputs, float* out) {
  SPOLIA_DCHECK(blockValues(type) > 1 && inputs % blockValues(type) == 0);
  HWY_DYNAMIC_DISPATCH(widenPanelHere)(type, panel, inputs, out);
}

void addBlockPanel(const MatrixView& in, WeightType type, const std::byte* panel, float* sums) {
  SPOLIA_DCHECK(blockValues(type) > 1 && in.columns() % blockValues(type) == 0);
  HWY_DYNAMIC_DISPATCH(addPanelHere)(in, type, panel, sums);
}

}  // namespace spolia::engine
#endif
