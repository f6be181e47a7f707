#include "engine/products/cut.h"

#include "engine/products/panel_product.h"

namespace spolia::engine {

namespace {

// Rows of a task: what widening a panel costs is small against products with so many.
constexpr size_t kTaskRows = 512;
// Tasks per thread: enough that the last ones end at about the same time.
constexpr size_t kTasksPerThread = 4;
// 15 us at the bandwidth of a core, large against handing out a task.
constexpr size_t kTaskBytes = 256 * 1024;

size_t panelsOf(std::span<const Product> products) {
  size_t panels = 0;
  for (const Product& product : products) panels += product.weight.panels();
  return panels;
}

}  // namespace

Cut cutRows(std::span<const Product> products, size_t rows, unsigned threads) {
  Cut cut;
  cut.panels = panelsOf(products);
  const size_t parts = (rows + kTaskRows - 1) / kTaskRows;
  const size_t step = (rows + parts - 1) / parts;
  cut.rowsPerTask = (step + kPanelRowStep - 1) / kPanelRowStep * kPanelRowStep;
  cut.rowParts = (rows + cut.rowsPerTask - 1) / cut.rowsPerTask;
  const size_t wanted = std::max<size_t>(1, kTasksPerThread * threads / cut.rowParts);
  cut.panelsPerTask = std::max<size_t>(1, cut.panels / wanted);
  return cut;
}

Cut cutWeights(std::span<const Product> products, size_t rows, size_t bytesPerPanel) {
  Cut cut;
  cut.panels = panelsOf(products);
  cut.rowsPerTask = rows;
  cut.panelsPerTask = std::max<size_t>(1, kTaskBytes / std::max<size_t>(1, bytesPerPanel));
  return cut;
}

}  // namespace spolia::engine
