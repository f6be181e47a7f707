// PagePool: memory for the KV of many requests, in pages of 64 positions of all layers. A page that
// is given back is the next one taken: its memory is there, and is not cleared.
//
// A page is held by reference: requests whose prompts begin alike hold the same one. Owned by main;
// its pages keep it alive. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "codec/kv_layout.h"
#include "engine/model/model_config.h"
#include "engine/transformer/zeroed_memory.h"

namespace spolia::engine {

// [layer][K, V][kv head][64][headDim] in the page type. Whoever holds it alone may write it; rows
// are of no meaning until they are written.
class KvPage {
 public:
  explicit KvPage(std::byte* data) : data_(data) {}

  std::byte* data() const { return data_; }

 private:
  std::byte* const data_;
};
// The last one that goes gives the page back.
using PageRef = std::shared_ptr<const KvPage>;

class PagePool : public std::enable_shared_from_this<PagePool> {
 public:
  static constexpr uint32_t kPageTokens = 64;

  static std::shared_ptr<PagePool> create(const ModelConfig& config, codec::ElementType pageType);

  codec::ElementType pageType() const { return type_; }
  static size_t pageBytesOf(const ModelConfig& config, codec::ElementType pageType);
  size_t pageBytes() const { return pageBytes_; }
  static uint64_t pagesFor(uint64_t tokens) { return (tokens + kPageTokens - 1) / kPageTokens; }

  PageRef take();

  // Pages that somebody holds.
  size_t taken() const;
  // Bytes of those and of the ones kept for later.
  uint64_t allocatedBytes() const;

 private:
  PagePool(const ModelConfig& config, codec::ElementType pageType);

  void give(std::byte* page);

  const codec::ElementType type_;
  const size_t pageBytes_;
  mutable std::mutex mutex_;
  std::vector<ZeroedMemory> slabs_;  // under mutex_
  std::vector<std::byte*> free_;     // under mutex_
  size_t taken_ = 0;                 // under mutex_
};

}  // namespace spolia::engine
