// How the work of a multiply() is cut into tasks: ranges of rows times ranges of panels, counted
// through all products.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

#include "engine/products/products.h"

namespace spolia::engine {

// A panel of one of the products.
struct PanelOf {
  const Product* product;
  size_t index;

  size_t firstOutput() const { return index * WeightMatrix::kPanelOutputs; }
  size_t outputs() const {
    return std::min(WeightMatrix::kPanelOutputs, product->weight.outputs() - firstOutput());
  }
};

inline PanelOf panelAt(std::span<const Product> products, size_t number) {
  const Product* product = products.data();
  for (; number >= product->weight.panels(); ++product) number -= product->weight.panels();
  return {product, number};
}

struct Cut {
  size_t panels = 0;  // of all products together
  size_t panelsPerTask = 1;
  size_t rowsPerTask = 0;  // a multiple of kPanelRowStep
  size_t rowParts = 1;

  size_t tasks() const { return rowParts * ((panels + panelsPerTask - 1) / panelsPerTask); }
  size_t firstRow(size_t task) const { return task % rowParts * rowsPerTask; }
  size_t firstPanel(size_t task) const { return task / rowParts * panelsPerTask; }
  size_t lastPanel(size_t task) const { return std::min(panels, firstPanel(task) + panelsPerTask); }
};

// For many rows, so that every thread has some tasks; for a few, bound by reading weights, so that
// a task has weights of a quarter of a megabyte.
Cut cutRows(std::span<const Product> products, size_t rows, unsigned threads);
Cut cutWeights(std::span<const Product> products, size_t rows, size_t bytesPerPanel);

}  // namespace spolia::engine
