#include "engine/transformer/page_pool.h"

#include <algorithm>

namespace spolia::engine {

namespace {

// Pages are cut from pieces of about so many bytes, which large pages of the machine fit into.
constexpr size_t kSlabBytes = size_t{32} << 20;

}  // namespace

std::shared_ptr<PagePool> PagePool::create(const ModelConfig& config, codec::ElementType pageType) {
  return std::shared_ptr<PagePool>(new PagePool(config, pageType));
}

PagePool::PagePool(const ModelConfig& config, codec::ElementType pageType)
    : type_(pageType), pageBytes_(pageBytesOf(config, pageType)) {}

size_t PagePool::pageBytesOf(const ModelConfig& config, codec::ElementType pageType) {
  return size_t{kPageTokens} * config.layers * 2 * config.kvChannels() *
         codec::elementSize(pageType);
}

PageRef PagePool::take() {
  std::byte* data = nullptr;
  {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) {
      const size_t pages = std::max<size_t>(1, kSlabBytes / pageBytes_);
      slabs_.emplace_back(pages * pageBytes_);
      // The lowest address goes first.
      for (size_t i = pages; i-- > 0;) free_.push_back(slabs_.back().data() + i * pageBytes_);
    }
    data = free_.back();
    free_.pop_back();
    ++taken_;
  }
  return PageRef(new KvPage(data), [pool = shared_from_this()](const KvPage* page) {
    pool->give(page->data());
    delete page;
  });
}

void PagePool::give(std::byte* page) {
  const std::lock_guard lock(mutex_);
  free_.push_back(page);
  --taken_;
}

size_t PagePool::taken() const {
  const std::lock_guard lock(mutex_);
  return taken_;
}

uint64_t PagePool::allocatedBytes() const {
  const std::lock_guard lock(mutex_);
  return (taken_ + free_.size()) * pageBytes_;
}

}  // namespace spolia::engine
