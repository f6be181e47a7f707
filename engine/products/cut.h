// How the work of a multiply() is cut into tasks: ranges of rows times ranges of panels, counted
// through all products.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

#include "engine/products/products.h"

namespace spolia::engine {

constexpr size_t kPanelWidth = WeightMatrix::kPanelOutputs;

// Panels of one of the products, one behind the other.
struct PanelsOf {
  const Product* product;
  size_t index;  // of the first
  size_t count;

  size_t firstOutput() const { return index * WeightMatrix::kPanelOutputs; }
  size_t outputs() const {
    const size_t all = count * WeightMatrix::kPanelOutputs;
    return std::min(all, product->weight.outputs() - firstOutput());
  }
};

// Those from `number` on, counted through all products: at most `most`, and none of the next
// product.
inline PanelsOf panelsAt(std::span<const Product> products, size_t number, size_t most) {
  const Product* product = products.data();
  for (; number >= product->weight.panels(); ++product) number -= product->weight.panels();
  return {product, number, std::min(most, product->weight.panels() - number)};
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

  // Calls body(panels) for all of a task's, at most `most` at a time.
  template <typename Body>
  void forPanels(std::span<const Product> products, size_t task, size_t most,
                 const Body& body) const {
    for (size_t number = firstPanel(task); number < lastPanel(task);) {
      const PanelsOf some = panelsAt(products, number, std::min(most, lastPanel(task) - number));
      body(some);
      number += some.count;
    }
  }
};

// For many rows, so that every thread has some tasks; for a few, bound by reading weights, so that
// a task has weights of a quarter of a megabyte.
Cut cutRows(std::span<const Product> products, size_t rows, unsigned threads);
Cut cutWeights(std::span<const Product> products, size_t rows, size_t bytesPerPanel);

}  // namespace spolia::engine
