#include "engine/transformer/working_kv.h"

#include <algorithm>
#include <cstring>
#include <memory>

#include "codec/base/check.h"
#include "engine/kernels/attention_kernel.h"
#include "engine/kernels/element_convert.h"
#include "engine/kernels/key_panel.h"
#include "engine/transformer/kv_pages.h"

namespace spolia::engine {

using codec::ElementType;
using codec::Plane;

static_assert(KvPages::kPageTokens == kKeyBlock);

namespace {

// Blocks are a few microseconds each: handed out one by one they would cost as much again.
constexpr uint32_t kPagesAtOnce = 4;

void widen(const std::byte* in, ElementType type, size_t n, float* out) {
  switch (type) {
    case ElementType::kF32:
      std::memcpy(out, in, n * sizeof(float));
      return;
    case ElementType::kF16:
      return widenF16(in, n, out);
    case ElementType::kBf16:
      return widenBf16(in, n, out);
  }
}

}  // namespace

void WorkingKv::load(const KvPages& pages, uint32_t layer, uint32_t keys, const RopeTable& rope,
                     ThreadPool& pool, uint32_t firstKey) {
  SPOLIA_CHECK(firstKey < keys && keys <= pages.capacityTokens());
  pages_ = &pages;
  layer_ = layer;
  const auto allPages = (pages.capacityTokens() + KvPages::kPageTokens - 1) / KvPages::kPageTokens;
  const size_t bytes =
      size_t{allPages} * pages.kvHeads() * kKeyBlock * pages.headDim() * sizeof(float);
  if (keys_.size() == 0) keys_ = ZeroedMemory(bytes);
  if (values_.size() == 0 && pages.pageType() != ElementType::kF32) values_ = ZeroedMemory(bytes);

  const uint32_t loaded = (keys + KvPages::kPageTokens - 1) / KvPages::kPageTokens;
  const uint32_t heads = pages.kvHeads();
  const uint32_t firstPage = firstKey / KvPages::kPageTokens;
  pool.parallelFor((loaded - firstPage + kPagesAtOnce - 1) / kPagesAtOnce, [&](size_t i) {
    const auto first = firstPage + static_cast<uint32_t>(i) * kPagesAtOnce;
    for (uint32_t page = first; page < std::min(loaded, first + kPagesAtOnce); ++page) {
      for (uint32_t head = 0; head < heads; ++head) loadBlock(head, page, keys, rope);
    }
  });
}

void WorkingKv::loadBlock(uint32_t head, uint32_t page, uint32_t keys, const RopeTable& rope) {
  const size_t headDim = pages_->headDim();
  const uint32_t first = page * KvPages::kPageTokens;
  const uint32_t rows = std::min(KvPages::kPageTokens, keys - first);
  const ElementType type = pages_->pageType();
  const auto scratch = std::make_unique_for_overwrite<float[]>(kKeyBlock * headDim);
  // Whole panels, so that all lanes are written; what is past the last row is not used.
  const size_t panels = (rows + kKeyPanel - 1) / kKeyPanel;
  widen(pages_->block(layer_, page, Plane::kK, head), type, panels * kKeyPanel * headDim,
        scratch.get());
  for (uint32_t row = 0; row < rows; ++row) {
    float* key = scratch.get() + row * headDim;
    rotateHead(key, rope.at(first + row), headDim, 1.0f, key);
  }
  float* out = blockOf(keys_, head, page);
  for (size_t panel = 0; panel < panels; ++panel) {
    const size_t offset = panel * kKeyPanel * headDim;
    transposePanel(scratch.get() + offset, headDim, out + offset);
  }
  if (type == ElementType::kF32) return;
  widen(pages_->block(layer_, page, Plane::kV, head), type, rows * headDim,
        blockOf(values_, head, page));
}

uint32_t WorkingKv::kvHeads() const {
  return pages_->kvHeads();
}
uint32_t WorkingKv::headDim() const {
  return pages_->headDim();
}

float* WorkingKv::blockOf(const ZeroedMemory& memory, uint32_t head, uint32_t page) const {
  const size_t index = size_t{page} * pages_->kvHeads() + head;
  return reinterpret_cast<float*>(memory.data()) + index * kKeyBlock * pages_->headDim();
}

const float* WorkingKv::keyPanels(uint32_t head, uint32_t page) const {
  return blockOf(keys_, head, page);
}

const float* WorkingKv::values(uint32_t head, uint32_t page) const {
  if (pages_->pageType() != ElementType::kF32) return blockOf(values_, head, page);
  return reinterpret_cast<const float*>(pages_->block(layer_, page, Plane::kV, head));
}

}  // namespace spolia::engine
