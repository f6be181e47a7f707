#include "engine/products/weight_matrix.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "engine/kernels/quant_blocks.h"
#include "engine/kernels/transpose.h"
#include "engine/products/scratch.h"

namespace spolia::engine {

namespace {

constexpr size_t kPanel = WeightMatrix::kPanelOutputs;

// Inputs that are packed of all outputs of a panel before the next ones: what is read and written
// then stays in cache.
constexpr size_t kPackedInputs = 16;

// rows [outputs][inputs] into panels. T is an unsigned integer as wide as a value: only bits move.
template <typename T>
void packPanels(const std::byte* rows, size_t outputs, size_t inputs, std::byte* panels) {
  for (size_t first = 0; first < outputs; first += kPanel) {
    std::byte* panel = panels + first * inputs * sizeof(T);
    const size_t present = std::min(kPanel, outputs - first);
    for (size_t begin = 0; begin < inputs; begin += kPackedInputs) {
      const size_t end = std::min(inputs, begin + kPackedInputs);
      for (size_t output = 0; output < kPanel; ++output) {
        const std::byte* row = rows + (first + output) * inputs * sizeof(T);
        for (size_t input = begin; input < end; ++input) {
          T value = 0;
          if (output < present) std::memcpy(&value, row + input * sizeof(T), sizeof(T));
          std::memcpy(panel + (input * kPanel + output) * sizeof(T), &value, sizeof(T));
        }
      }
    }
  }
}

size_t roundedOutputs(size_t outputs) {
  return (outputs + kPanel - 1) / kPanel * kPanel;
}

}  // namespace

size_t WeightMatrix::bytesFor(WeightType type, size_t outputs, size_t inputs) {
  const size_t rows = blockValues(type) == 1 ? roundedOutputs(outputs) : outputs;
  return storedBytes(type, inputs) * rows;
}

WeightMatrix::WeightMatrix(WeightType type, const std::byte* rows, size_t outputs, size_t inputs)
    : type_(type), outputs_(outputs), inputs_(inputs), data_(bytesFor(type, outputs, inputs)) {
  SPOLIA_CHECK(inputs % blockValues(type) == 0);
  if (!inPanels()) {
    std::memcpy(data_.data(), rows, data_.size());
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
  std::vector<float> row(out.inputs_);
  for (size_t output = 0; output < out.outputs_; ++output) {
    weights.copyRow(output, row.data());
    out.int8_->setRow(output, row.data(), row.size());
  }
  return out;
}

const std::byte* WeightMatrix::panelBytes(size_t index) const {
  SPOLIA_DCHECK(inPanels() && index < panels());
  return data_.data() + storedBytes(type_, index * kPanel * inputs_);
}

const std::byte* WeightMatrix::blocksOf(size_t output) const {
  SPOLIA_DCHECK(!inPanels() && output < outputs_);
  return data_.data() + storedBytes(type_, inputs_) * output;
}

void WeightMatrix::widenBlocks(size_t output, size_t first, size_t count, float* out) const {
  dequantize(type_, blocksOf(output) + storedBytes(type_, first), count, out);
}

const float* WeightMatrix::panel(size_t index, float* scratch) const {
  SPOLIA_DCHECK(!int8_);
  if (type_ == WeightType::kF32) return reinterpret_cast<const float*>(panelBytes(index));
  if (inPanels()) {
    dequantize(type_, panelBytes(index), inputs_ * kPanel, scratch);
    return scratch;
  }
  // Rows of blocks: a block's length of all outputs at a time, then turned.
  const size_t step = blockValues(type_);
  const size_t first = index * kPanel;
  const size_t present = std::min(kPanel, outputs_ - first);
  float* rows = scratchFloats(ScratchUser::kBlocks, kPanel * step);
  std::fill_n(rows, kPanel * step, 0.0f);
  for (size_t input = 0; input < inputs_; input += step) {
    for (size_t output = 0; output < present; ++output) {
      widenBlocks(first + output, input, step, rows + output * step);
    }
    transpose(rows, kPanel, step, scratch + input * kPanel);
  }
  return scratch;
}

void WeightMatrix::copyRow(size_t output, float* out) const {
  SPOLIA_CHECK(output < outputs_);
  if (int8_) return int8_->copyRow(output, inputs_, out);
  if (!inPanels()) return widenBlocks(output, 0, inputs_, out);
  // Together first: a call for each value would take longer than all the rest.
  const size_t size = blockBytes(type_);
  const std::byte* value = panelBytes(output / kPanel) + output % kPanel * size;
  auto* row = reinterpret_cast<std::byte*>(scratchFloats(ScratchUser::kBlocks, inputs_));
  for (size_t input = 0; input < inputs_; ++input, value += kPanel * size) {
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
