#include "engine/products/int8_products.h"

#include <algorithm>

#include "codec/base/check.h"
#include "engine/products/cut.h"
#include "engine/products/few_rows.h"
#include "engine/products/panel_product.h"
#include "engine/products/scratch.h"

namespace spolia::engine {

namespace {

// Rows that a thread quantises at a time.
constexpr size_t kRowsAtOnce = 16;

// The inputs in 8 bits, in memory of the thread that began the product.
struct QuantizedRows {
  uint8_t* values;  // [rows rounded up][inputs]
  float* scales;    // [rows]
  size_t inputs;    // padded

  const uint8_t* row(size_t index) const { return values + index * inputs; }
};

size_t roundedRows(size_t rows) {
  if (rows <= 2) return rows;
  return rows <= 4 ? 4 : (rows + kPanelRowStep - 1) / kPanelRowStep * kPanelRowStep;
}

QuantizedRows quantizeRows(const MatrixView& in, size_t padded, ThreadPool& pool) {
  const size_t rows = in.rows(), present = roundedRows(rows);
  float* memory = scratchFloats(ScratchUser::kQuantized, present + present * padded / 4);
  const QuantizedRows out{reinterpret_cast<uint8_t*>(memory + present), memory, padded};
  pool.parallelFor((rows + kRowsAtOnce - 1) / kRowsAtOnce, [&](size_t block) {
    const size_t end = std::min(rows, (block + 1) * kRowsAtOnce);
    for (size_t r = block * kRowsAtOnce; r < end; ++r) {
      out.scales[r] = quantizeInputs(in.row(r), in.columns(), out.values + r * padded, padded);
    }
  });
  // Rows that only fill up a tile.
  std::fill_n(out.values + rows * padded, (present - rows) * padded, uint8_t{0});
  return out;
}

// The sums of panels in plain arithmetic, for processors without the instructions.
void sumPanels(const uint8_t* in, size_t rows, size_t inputs, const int8_t* panels, size_t count,
               int32_t* out) {
  std::fill_n(out, rows * count * kPanelWidth, 0);
  for (size_t r = 0; r < rows; ++r) {
    for (size_t i = 0; i < inputs * count; ++i) {
      const size_t panel = i / inputs, input = i % inputs;
      const int32_t value = in[r * inputs + input];
      const int8_t* weights = panels + (panel * inputs + input / 4 * 4) * kPanelWidth + input % 4;
      int32_t* sums = out + (r * count + panel) * kPanelWidth;
      for (size_t c = 0; c < kPanelWidth; ++c) sums[c] += value * weights[c * 4];
    }
  }
}

// Row `row` of the output from its integer sums.
void putSums(const PanelsOf& panels, const QuantizedRows& in, size_t row, const int32_t* sums,
             Accumulate accumulate) {
  const Int8Panels& weights = *panels.product->weight.int8();
  float* out = panels.product->out.row(row) + panels.firstOutput();
  const float rowScale = in.scales[row];
  for (size_t c = 0; c < panels.outputs(); ++c) {
    const size_t output = panels.firstOutput() + c;
    const auto exact = static_cast<float>(sums[c] - weights.surplus(output));
    const float value = exact * (rowScale * weights.scale(output));
    out[c] = accumulate == Accumulate::kAdd ? out[c] + value : value;
  }
}

void multiplyRows(const QuantizedRows& in, const PanelsOf& panels, size_t first, size_t last,
                  Accumulate accumulate) {
  const int8_t* weights = panels.product->weight.int8()->panel(panels.index);
  auto* sums = reinterpret_cast<int32_t*>(
      scratchFloats(ScratchUser::kSums, kPanelRowsMost * kPanelsMost * kPanelWidth));
  for (size_t row = first; row < last; row += kPanelRowsMost) {
    const size_t rows = std::min(kPanelRowsMost, last - row);
    if (integerProducts()) {
      multiplyPanels(in.row(row), roundedRows(rows), in.inputs, weights, panels.count, sums);
    } else {
      sumPanels(in.row(row), rows, in.inputs, weights, panels.count, sums);
    }
    for (size_t r = 0; r < rows; ++r) {
      putSums(panels, in, row + r, sums + r * panels.count * kPanelWidth, accumulate);
    }
  }
}

}  // namespace

void multiplyInt8(const MatrixView& in, std::span<const Product> products, Accumulate accumulate,
                  ThreadPool& pool) {
  const size_t rows = in.rows();
  const size_t inputs = products[0].weight.int8()->paddedInputs();
  const QuantizedRows quantized = quantizeRows(in, inputs, pool);
  const Cut cut = rows <= kFewRows ? cutWeights(products, rows, inputs * kPanelWidth)
                                   : cutRows(products, rows, pool.threads());
  pool.parallelFor(cut.tasks(), [&](size_t task) {
    const size_t first = cut.firstRow(task), last = std::min(rows, first + cut.rowsPerTask);
    cut.forPanels(products, task, kPanelsMost, [&](const PanelsOf& panels) {
      multiplyRows(quantized, panels, first, last, accumulate);
    });
  });
}

}  // namespace spolia::engine
