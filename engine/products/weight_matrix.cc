#include "engine/products/weight_matrix.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "engine/kernels/quant_blocks.h"
#include "engine/kernels/transpose.h"
#include "engine/products/block_layout.h"
#include "engine/products/block_panels.h"
#include "engine/products/scratch.h"

namespace spolia::engine {

namespace {

constexpr size_t kWidth = WeightMatrix::kPanelOutputs;

// Inputs that are packed of all outputs of a panel before the next ones: what is read and written
// then stays in cache.
constexpr size_t kPackedInputs = 16;

// rows [outputs][inputs] into panels. T is an unsigned integer as wide as a value: only bits move.
template <typename T>
void packPanels(const std::byte* rows, size_t outputs, size_t inputs, std::byte* panels) {
  for (size_t first = 0; first < outputs; first += kWidth) {
    std::byte* panel = panels + first * inputs * sizeof(T);
    const size_t present = std::min(kWidth, outputs - first);
    for (size_t begin = 0; begin < inputs; begin += kPackedInputs) {
      const size_t end = std::min(inputs, begin + kPackedInputs);
      for (size_t output = 0; output < kWidth; ++output) {
        const std::byte* row = rows + (first + output) * inputs * sizeof(T);
        for (size_t input = begin; input < end; ++input) {
          T value = 0;
          if (output < present) std::memcpy(&value, row + input * sizeof(T), sizeof(T));
          std::memcpy(panel + (input * kWidth + output) * sizeof(T), &value, sizeof(T));
        }
      }
    }
  }
}

bool inBlocks(WeightType type) {
  return blockValues(type) > 1;
}

void packAllBlocks(WeightType type, const std::byte* rows, size_t outputs, size_t inputs,
                   std::byte* panel) {
  for (size_t first = 0; first < outputs; first += kWidth) {
    packBlocks(type, rows + storedBytes(type, inputs) * first, std::min(kWidth, outputs - first),
               inputs, panel);
    panel += WeightMatrix::panelSize(type, inputs);
  }
}

}  // namespace

size_t WeightMatrix::panelSize(WeightType type, size_t inputs) {
  if (!inBlocks(type)) return storedBytes(type, inputs * kWidth);
  return inputs / blockValues(type) * blockLayout(type).tileBytes();
}

size_t WeightMatrix::bytesFor(WeightType type, size_t outputs, size_t inputs) {
  return (outputs + kWidth - 1) / kWidth * panelSize(type, inputs);
}

WeightMatrix::WeightMatrix(WeightType type, const std::byte* rows, size_t outputs, size_t inputs)
    : type_(type), outputs_(outputs), inputs_(inputs), data_(bytesFor(type, outputs, inputs)) {
  SPOLIA_CHECK(inputs % blockValues(type) == 0);
  if (inBlocks(type)) {
    packAllBlocks(type, rows, outputs, inputs, data_.data());
  } else if (type == WeightType::kF32) {
    packPanels<uint32_t>(rows, outputs, inputs, data_.data());
  } else {
    packPanels<uint16_t>(rows, outputs, inputs, data_.data());
  }
}

WeightMatrix::WeightMatrix(const MatrixView& rows)
    : WeightMatrix(WeightType::kF32, reinterpret_cast<const std::byte*>(rows.data()), rows.rows(),
                   rows.columns()) {
  SPOLIA_CHECK(rows.stride() == rows.columns());
}

WeightMatrix WeightMatrix::inInt8(const WeightMatrix& weights) {
  WeightMatrix out;
  out.outputs_ = weights.outputs_;
  out.inputs_ = weights.inputs_;
  out.int8_.emplace(out.outputs_, out.inputs_);
  std::vector<float> scratch(out.inputs_ * kWidth), rows(out.inputs_ * kWidth);
  for (size_t output = 0; output < out.outputs_; ++output) {
    if (output % kWidth == 0) {
      transpose(weights.panel(output / kWidth, scratch.data()), out.inputs_, kWidth, rows.data());
    }
    out.int8_->setRow(output, rows.data() + output % kWidth * out.inputs_, out.inputs_);
  }
  return out;
}

const std::byte* WeightMatrix::panelBytes(size_t index) const {
  SPOLIA_DCHECK(!int8_ && index < panels());
  return data_.data() + index * panelSize(type_, inputs_);
}

const float* WeightMatrix::panel(size_t index, float* scratch) const {
  if (type_ == WeightType::kF32) return reinterpret_cast<const float*>(panelBytes(index));
  if (inBlocks(type_)) {
    widenBlockPanel(type_, panelBytes(index), inputs_, scratch);
  } else {
    dequantize(type_, panelBytes(index), inputs_ * kWidth, scratch);
  }
  return scratch;
}

void WeightMatrix::copyRow(size_t output, float* out) const {
  SPOLIA_CHECK(output < outputs_);
  if (int8_) return int8_->copyRow(output, inputs_, out);
  if (inBlocks(type_)) {
    return copyBlockRow(type_, panelBytes(output / kWidth), output % kWidth, inputs_, out);
  }
  // Together first: a call for each value would take longer than all the rest.
  const size_t size = blockBytes(type_);
  const std::byte* value = panelBytes(output / kWidth) + output % kWidth * size;
  auto* row = reinterpret_cast<std::byte*>(scratchFloats(ScratchUser::kBlocks, inputs_));
  for (size_t input = 0; input < inputs_; ++input, value += kWidth * size) {
    std::memcpy(row + input * size, value, size);
  }
  dequantize(type_, row, inputs_, out);
}

Matrix WeightMatrix::unpacked() const {
  Matrix out(outputs_, inputs_);
  for (size_t output = 0; output < outputs_; ++output) copyRow(output, out.row(output));
  return out;
}

}  // namespace spolia::engine
