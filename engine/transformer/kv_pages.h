// The KV of one sequence: a table of pages of 64 tokens, in the page type. Pages hold K before
// RoPE, rounded to the page type in every method, and V. They are memory of its own, or pages of a
// pool, of which those at the front may be other sequences' too: these are not written.
//
// Owned by the request. Threads: rows of different layers, or of disjoint token ranges of one
// layer, may be imported, written and exported at the same time; rows that are being written may
// not be read. Indices that do not fit are defects, not errors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "codec/kv_layout.h"
#include "engine/model/model_config.h"
#include "engine/transformer/page_pool.h"
#include "engine/transformer/working_kv.h"
#include "engine/transformer/zeroed_memory.h"

namespace spolia::engine {

class KvPages {
 public:
  static constexpr uint32_t kPageTokens = PagePool::kPageTokens;

  // Room for positions 0 .. capacityTokens - 1, all rows zero (the dummy rows of a single-pass
  // link). The configuration has to fit checkModelConfig().
  KvPages(const ModelConfig& config, codec::ElementType pageType, uint32_t capacityTokens);
  // The same room in pages of a pool of this model, which begins with `front`; rows behind it are
  // of no meaning until they are written.
  KvPages(const ModelConfig& config, PagePool& pool, uint32_t capacityTokens,
          std::vector<PageRef> front);
  KvPages(const KvPages&) = delete;
  KvPages& operator=(const KvPages&) = delete;

  codec::ElementType pageType() const { return type_; }
  uint32_t capacityTokens() const { return capacity_; }
  uint32_t layers() const { return layers_; }
  uint32_t kvHeads() const { return kvHeads_; }
  uint32_t headDim() const { return headDim_; }

  // Rows [firstPosition, firstPosition + tokens) of one layer from memory of any element type;
  // `rows` is addressed as of a range of that one layer and those tokens.
  void importRows(uint32_t layer, uint32_t firstPosition, uint32_t tokens,
                  const codec::KvView& rows);
  // The same rows to memory: K before RoPE, V as it is. Same type: the bits; else rounded.
  void exportRows(uint32_t layer, uint32_t firstPosition, uint32_t tokens,
                  const codec::KvTarget& out) const;

  // One computed row: k, v [kvHeads * headDim], K before RoPE; rounded here to the page type.
  void writeRow(uint32_t layer, uint32_t position, const float* k, const float* v);

  // The rows of one page of a layer and one head in the page type, [64][headDim].
  const std::byte* block(uint32_t layer, uint32_t page, codec::Plane plane, uint32_t head) const;

  // Another sequence of as much room that begins with the first `rows` rows of this one. Whole
  // pages of them are shared from then on, so neither may write them; the rest is copied. Pool
  // pages only.
  std::unique_ptr<KvPages> fork(uint32_t rows) const;
  // The first `count` pages, of pool pages.
  std::vector<PageRef> front(size_t count) const;

  // Memory in which attention prepares the layer it works on; kept here because it is needed again
  // for each pass over these pages. Touched by one pass at a time.
  WorkingKv& working() { return working_; }
  // Gives that memory back until it is needed again.
  void releaseWorking() { working_ = WorkingKv(); }

 private:
  static constexpr uint32_t kPlanes = 2;

  size_t blockElements() const { return size_t{kPageTokens} * headDim_; }
  std::byte* rowAt(uint32_t layer, codec::Plane plane, uint32_t head, uint32_t position) const;

  const ModelConfig& config_;
  PagePool* const pool_;  // null: the memory is our own
  codec::ElementType type_;
  uint32_t layers_, kvHeads_, headDim_, capacity_;
  uint32_t shared_ = 0;            // pages at the front that others may hold
  ZeroedMemory memory_;            // without a pool: all pages
  std::vector<PageRef> refs_;      // with one: each page
  std::vector<std::byte*> pages_;  // each [layer][K, V][head][64][headDim] of type_
  WorkingKv working_;
};

// n values of a page as f32. Any thread.
void widenElements(const std::byte* in, codec::ElementType type, size_t n, float* out);

}  // namespace spolia::engine
