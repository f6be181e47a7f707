#include "engine/transformer/working_kv.h"

#include <algorithm>
#include <memory>

#include "codec/base/check.h"
#include "engine/kernels/attention_kernel.h"
#include "engine/transformer/kv_pages.h"
#include "engine/transformer/page_blocks.h"

namespace spolia::engine {

using codec::ElementType;
using codec::Plane;

namespace {

// Blocks are a few microseconds each: handed out one by one they would cost as much again.
constexpr uint32_t kPagesAtOnce = 4;

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
  const PageBlock block{*pages_, layer_, page, head};
  const uint32_t rows = std::min(KvPages::kPageTokens, keys - page * KvPages::kPageTokens);
  const auto scratch = std::make_unique_for_overwrite<float[]>(kKeyBlock * pages_->headDim());
  turnKeys(block, rows, rope, scratch.get(), blockOf(keys_, head, page));
  if (pages_->pageType() == ElementType::kF32) return;
  widenValues(block, rows, blockOf(values_, head, page));
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
