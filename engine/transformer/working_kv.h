// What attention reads of one layer: keys turned to their positions, in panels, and values, both in
// f32. Made from the pages at the start of a layer's attention, so that each key is widened and
// rotated once a pass and not once a query tile. Only one layer has one at a time: it stays in
// cache, and a copy of every layer would take up three times the memory of bf16 pages.
//
// Owned by the KvPages. Loading uses the whole pool; reading from any thread until the next load.
#pragma once

#include <cstdint>

#include "engine/kernels/rope.h"
#include "engine/kernels/thread_pool.h"
#include "engine/transformer/zeroed_memory.h"

namespace spolia::engine {

class KvPages;

class WorkingKv {
 public:
  // Takes positions firstKey .. keys - 1 of `layer`, and those before them in firstKey's page;
  // firstKey < keys. With f32 pages values are read in place: they have to stay as they are while
  // this is used.
  void load(const KvPages& pages, uint32_t layer, uint32_t keys, const RopeTable& rope,
            ThreadPool& pool, uint32_t firstKey = 0);

  // Of the pages loaded last.
  uint32_t kvHeads() const;
  uint32_t headDim() const;
  // One page of one kv head, of the pages that were loaded: keys [64 / 16][headDim][16], a key per
  // lane; rows past the last loaded one, and pages before the first, are of no meaning.
  const float* keyPanels(uint32_t head, uint32_t page) const;
  // values [64][headDim].
  const float* values(uint32_t head, uint32_t page) const;

 private:
  void loadBlock(uint32_t head, uint32_t page, uint32_t keys, const RopeTable& rope);
  float* blockOf(const ZeroedMemory& memory, uint32_t head, uint32_t page) const;

  const KvPages* pages_ = nullptr;
  uint32_t layer_ = 0;
  ZeroedMemory keys_;    // [page][head][64 / 16][headDim][16]
  ZeroedMemory values_;  // [page][head][64][headDim]; empty for f32 pages
};

}  // namespace spolia::engine
