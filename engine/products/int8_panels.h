// Weights in 8 bits with one scale for each output, packed for integer products. Values; const
// calls from any thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "codec/base/aligned_buffer.h"
#include "engine/kernels/matrix.h"

namespace spolia::engine {

// weight[n][i] is about scale[n] * q[n][i], q in -127 .. 127: the scale is the output's largest
// magnitude over 127, values are rounded to the nearest.
class Int8Panels {
 public:
  // Outputs of a panel, and inputs that lie together.
  static constexpr size_t kOutputs = 64;
  static constexpr size_t kInputs = 64;
  // What the unsigned form of an input has more than the signed one: integer products take unsigned
  // inputs.
  static constexpr int32_t kOffset = 128;

  Int8Panels() = default;
  // Room for `outputs` rows, all zero; filled by setRow() with [inputs] values each.
  Int8Panels(size_t outputs, size_t inputs);
  void setRow(size_t output, const float* weights, size_t inputs);

  // Bytes that a matrix takes up.
  static size_t bytesFor(size_t outputs, size_t inputs);

  // Inputs rounded up to whole groups of kInputs; the weights of those that are not there are zero.
  size_t paddedInputs() const { return paddedInputs_; }
  size_t bytes() const { return values_.size() + factors_.size(); }
  // [paddedInputs / 4][64][4]: oneDNN's BA16a64b4a.
  const int8_t* panel(size_t index) const;
  // Of output `output`: its scale, and kOffset times the sum of its q, which a product with
  // unsigned inputs is too large by.
  float scale(size_t output) const { return factors()[output].scale; }
  int32_t surplus(size_t output) const { return factors()[output].surplus; }

  // scale * q of one output, [inputs].
  void copyRow(size_t output, size_t inputs, float* out) const;

 private:
  struct Factors {
    float scale;
    int32_t surplus;
  };
  const Factors* factors() const { return reinterpret_cast<const Factors*>(factors_.data()); }
  size_t indexOf(size_t output, size_t input) const;

  size_t paddedInputs_ = 0;
  AlignedBuffer values_;
  AlignedBuffer factors_;
};

// A row of inputs: scale * (out[i] - kOffset) is about in[i], rounded as weights are. out[n ..
// padded) becomes kOffset. Returns the scale, 0 for a row of zeros. Any thread.
float quantizeInputs(const float* in, size_t n, uint8_t* out, size_t padded);

}  // namespace spolia::engine
