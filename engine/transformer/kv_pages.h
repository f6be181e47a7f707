// The KV of one request: pages of 64 tokens per layer, in the page type. Pages hold K before RoPE,
// rounded to the page type in every method, and V. Beside them stands, per layer, the *working
// copy* that attention reads: K rotated to its position in f32, and V in f32; it is brought up to
// date from the pages row by row, so each key is rotated once and not once per query.
//
// Owned by the request. Threads: rows of different layers, or of disjoint token ranges of one
// layer, may be imported, written and exported at the same time; a layer may not be attended to
// (refresh) while rows of that layer are written. Indices that do not fit are defects, not errors.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "codec/kv_layout.h"
#include "engine/kernels/matrix.h"
#include "engine/kernels/rope.h"
#include "engine/kernels/thread_pool.h"
#include "engine/model/model_config.h"

namespace spolia::engine {

// Zero-filled memory of the operating system, in large pages where it gives them; only what is
// touched takes up memory.
class ZeroedMemory {
 public:
  ZeroedMemory() = default;
  explicit ZeroedMemory(size_t bytes);
  ~ZeroedMemory();
  ZeroedMemory(const ZeroedMemory&) = delete;
  ZeroedMemory& operator=(const ZeroedMemory&) = delete;

  std::byte* data() const { return data_; }

 private:
  std::byte* data_ = nullptr;
  size_t bytes_ = 0;
};

class KvPages {
 public:
  static constexpr uint32_t kPageTokens = 64;

  // Room for positions 0 .. capacityTokens - 1, all rows zero (the dummy rows of a single-pass
  // link). The configuration has to fit checkModelConfig().
  KvPages(const ModelConfig& config, codec::ElementType pageType, uint32_t capacityTokens);
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

  // Brings the working copy of positions 0 .. keys - 1 up to date.
  void refresh(uint32_t layer, uint32_t keys, const RopeTable& rope, ThreadPool& pool);
  // Working copy of one page, valid after refresh() of its positions until rows are written:
  // rotated keys of one head, [64 / 16 panels][headDim][16 keys].
  const float* keyPanels(uint32_t layer, uint32_t head, uint32_t page) const;
  // values of one head, [64 keys][headDim].
  const float* values(uint32_t layer, uint32_t head, uint32_t page) const;

 private:
  static constexpr uint32_t kPlanes = 2;

  size_t blockElements() const { return size_t{kPageTokens} * headDim_; }
  std::byte* blockAt(uint32_t layer, uint32_t page, codec::Plane plane, uint32_t head) const;
  std::byte* rowAt(uint32_t layer, codec::Plane plane, uint32_t head, uint32_t position) const;
  float* workingBlock(const ZeroedMemory& memory, uint32_t layer, uint32_t head,
                      uint32_t page) const;
  void markWritten(uint32_t layer, uint32_t firstPosition, uint32_t tokens);
  void refreshPage(uint32_t layer, uint32_t page, const RopeTable& rope);
  void refreshRow(uint32_t layer, uint32_t position, const RopeTable& rope, float* scratch);

  codec::ElementType type_;
  uint32_t layers_, kvHeads_, headDim_, capacity_, pages_;
  ZeroedMemory blocks_;   // [layer][page][K, V][head][64][headDim] of type_
  ZeroedMemory keys_;     // [layer][page][head][64 / 16][headDim][16] f32, rotated
  ZeroedMemory widened_;  // values, [layer][page][head][64][headDim] f32; empty for f32 pages
  // [layer][page]: bit t is set when row t was written since the working copy was made from it.
  std::unique_ptr<std::atomic<uint64_t>[]> stale_;
};

}  // namespace spolia::engine
