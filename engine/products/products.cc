#include "engine/products/products.h"

#include <algorithm>
#include <cstring>

#include "codec/base/check.h"
#include "engine/products/cut.h"
#include "engine/products/few_rows.h"
#include "engine/products/int8_products.h"
#include "engine/products/panel_product.h"
#include "engine/products/scratch.h"

namespace spolia::engine {

namespace {

// sums [rows][64 * panels] to the panels' columns of rows `first` ... of the output.
void putSums(const PanelsOf& panels, size_t first, size_t rows, const float* sums,
             Accumulate accumulate) {
  const size_t outputs = panels.outputs();
  for (size_t r = 0; r < rows; ++r, sums += kPanelWidth * panels.count) {
    float* out = panels.product->out.row(first + r) + panels.firstOutput();
    if (accumulate == Accumulate::kReplace) {
      std::memcpy(out, sums, outputs * sizeof(float));
    } else {
      for (size_t c = 0; c < outputs; ++c) out[c] += sums[c];
    }
  }
}

// Rows [first, first + rows) as oneDNN takes them: one behind the other, and as many as `padded`.
// In place where they lie so; the copy has zeros for rows that are not there.
const float* tileRows(const MatrixView& in, size_t first, size_t rows, size_t padded) {
  if (rows == padded && in.stride() == in.columns()) return in.row(first);
  const size_t k = in.columns();
  float* copy = scratchFloats(ScratchUser::kRows, padded * k);
  for (size_t r = 0; r < rows; ++r) {
    std::memcpy(copy + r * k, in.row(first + r), k * sizeof(float));
  }
  std::fill_n(copy + rows * k, (padded - rows) * k, 0.0f);
  return copy;
}

// Some panels with rows [first, last). One panel, unless they can be multiplied where they lie.
void multiplyManyRows(const MatrixView& in, const PanelsOf& panels, size_t first, size_t last,
                      Accumulate accumulate) {
  const WeightMatrix& weight = panels.product->weight;
  const size_t k = weight.inputs();
  float* scratch = weight.type() == WeightType::kF32
                       ? nullptr
                       : scratchFloats(ScratchUser::kPanel, k * kPanelWidth);
  const float* values = weight.panel(panels.index, scratch);
  float* sums = scratchFloats(ScratchUser::kSums, kPanelRowsMost * kPanelsMost * kPanelWidth);
  for (size_t row = first; row < last; row += kPanelRowsMost) {
    const size_t rows = std::min(kPanelRowsMost, last - row);
    const size_t padded = (rows + kPanelRowStep - 1) / kPanelRowStep * kPanelRowStep;
    multiplyPanels(tileRows(in, row, rows, padded), padded, k, values, panels.count, sums);
    putSums(panels, row, rows, sums, accumulate);
  }
}

// One panel, every sum made in one order.
void multiplyInOrder(const MatrixView& in, const PanelsOf& panel, size_t first, size_t last,
                     Accumulate accumulate) {
  float* sums = scratchFloats(ScratchUser::kSums, kFewRows * kPanelWidth);
  for (size_t row = first; row < last; row += kFewRows) {
    const size_t rows = std::min(kFewRows, last - row);
    multiplyFewRows(in.rowRange(row, rows), panel.product->weight, panel.index, sums);
    putSums(panel, row, rows, sums, accumulate);
  }
}

}  // namespace

void multiply(const MatrixView& in, std::span<const Product> products, Accumulate accumulate,
              ThreadPool& pool, Rounding rounding) {
  const size_t rows = in.rows();
  if (rows == 0 || in.columns() == 0) return;
  for (const Product& product : products) {
    SPOLIA_DCHECK(product.weight.inputs() == in.columns());
    SPOLIA_DCHECK(product.out.rows() == rows && product.out.columns() == product.weight.outputs());
  }
  if (products[0].weight.int8()) return multiplyInt8(in, products, accumulate, pool);
  const bool few = rows <= kFewRows;
  const bool inOrder = few || rounding == Rounding::kInvariant;
  const WeightType type = products[0].weight.type();
  const size_t most = !inOrder && type == WeightType::kF32 ? kPanelsMost : 1;
  const Cut cut = few ? cutWeights(products, rows, WeightMatrix::panelSize(type, in.columns()))
                      : cutRows(products, rows, pool.threads());
  pool.parallelFor(cut.tasks(), [&](size_t task) {
    const size_t first = cut.firstRow(task), last = std::min(rows, first + cut.rowsPerTask);
    cut.forPanels(products, task, most, [&](const PanelsOf& panels) {
      (inOrder ? multiplyInOrder : multiplyManyRows)(in, panels, first, last, accumulate);
    });
  });
}

}  // namespace spolia::engine
