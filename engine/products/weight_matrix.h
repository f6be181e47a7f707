// A weight matrix as products read it: packed once, in the element type of its file. Values; const
// calls from any thread.
//
// Values lie in panels of 64 outputs, outputs past the last one zero: a product streams a panel
// from begin to end. Those of f32, f16 and bf16 are [n / 64][k][64], and oneDNN takes a panel of
// f32 as it is (its BA16a64b); quantised blocks are as engine/products/block_layout.h says.
#pragma once

#include <cstddef>
#include <optional>

#include "codec/base/aligned_buffer.h"
#include "engine/kernels/matrix.h"
#include "engine/kernels/weight_type.h"
#include "engine/products/int8_panels.h"

namespace spolia::engine {

class WeightMatrix {
 public:
  // Outputs of a panel.
  static constexpr size_t kPanelOutputs = 64;

  WeightMatrix() = default;
  // Packs `outputs` rows of `inputs` values of `type`, which need not be aligned. With blocks,
  // `inputs` is a multiple of their length.
  WeightMatrix(WeightType type, const std::byte* rows, size_t outputs, size_t inputs);
  explicit WeightMatrix(const MatrixView& rows);
  // The same weights in 8 bits with a scale for each output; products with them are made in
  // integers, of inputs in 8 bits with a scale for each row.
  static WeightMatrix inInt8(const WeightMatrix& weights);

  // Of an int8 matrix: kF32, as which its values are read.
  WeightType type() const { return type_; }
  size_t outputs() const { return outputs_; }
  size_t inputs() const { return inputs_; }
  bool empty() const { return outputs_ == 0 || inputs_ == 0; }
  size_t bytes() const { return data_.size() + (int8_ ? int8_->bytes() : 0); }
  size_t panels() const { return (outputs_ + kPanelOutputs - 1) / kPanelOutputs; }

  // Bytes that a packed matrix takes up, and one panel of it.
  static size_t bytesFor(WeightType type, size_t outputs, size_t inputs);
  static size_t panelSize(WeightType type, size_t inputs);

  // Panel `index` as f32, [inputs][64]: in place, or widened into `scratch` of
  // inputs() * kPanelOutputs floats.
  const float* panel(size_t index, float* scratch) const;
  // Null unless the matrix is one in 8 bits.
  const Int8Panels* int8() const { return int8_ ? &*int8_ : nullptr; }
  // Where panel `index` begins, in the matrix's type; not of one in 8 bits.
  const std::byte* panelBytes(size_t index) const;

  // One output's row, [inputs], as f32.
  void copyRow(size_t output, float* out) const;
  // All rows as f32, [outputs][inputs].
  Matrix unpacked() const;

 private:
  WeightType type_ = WeightType::kF32;
  size_t outputs_ = 0;
  size_t inputs_ = 0;
  AlignedBuffer data_;
  std::optional<Int8Panels> int8_;
};

}  // namespace spolia::engine
