#include "engine/transformer/page_blocks.h"

#include "engine/kernels/attention_kernel.h"
#include "engine/kernels/transpose.h"

namespace spolia::engine {

using codec::ElementType;
using codec::Plane;

static_assert(KvPages::kPageTokens == kKeyBlock);

namespace {

const std::byte* bytesOf(const PageBlock& block, Plane plane) {
  return block.pages.block(block.layer, block.page, plane, block.head);
}

}  // namespace

void turnKeys(const PageBlock& block, uint32_t rows, const RopeTable& rope, float* wide,
              float* panels) {
  const size_t headDim = block.pages.headDim();
  const uint32_t first = block.page * KvPages::kPageTokens;
  // Whole panels, so that all lanes are written.
  const size_t count = (rows + kKeyPanel - 1) / kKeyPanel;
  widenElements(bytesOf(block, Plane::kK), block.pages.pageType(), count * kKeyPanel * headDim,
                wide);
  for (uint32_t row = 0; row < rows; ++row) {
    float* key = wide + row * headDim;
    rotateHead(key, rope.at(first + row), headDim, 1.0f, key);
  }
  for (size_t panel = 0; panel < count; ++panel) {
    const size_t offset = panel * kKeyPanel * headDim;
    transpose(wide + offset, kKeyPanel, headDim, panels + offset);
  }
}

const float* widenValues(const PageBlock& block, uint32_t rows, float* out) {
  const std::byte* values = bytesOf(block, Plane::kV);
  const ElementType type = block.pages.pageType();
  if (type == ElementType::kF32) return reinterpret_cast<const float*>(values);
  widenElements(values, type, size_t{rows} * block.pages.headDim(), out);
  return out;
}

}  // namespace spolia::engine
