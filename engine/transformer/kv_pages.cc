#include "engine/transformer/kv_pages.h"

#include <cstring>
#include <utility>
#include <vector>

#include "codec/base/check.h"
#include "engine/kernels/element_convert.h"

namespace spolia::engine {

using codec::ElementType;
using codec::Plane;

void widenElements(const std::byte* in, ElementType type, size_t n, float* out) {
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

namespace {

void narrow(const float* in, size_t n, ElementType type, std::byte* out) {
  switch (type) {
    case ElementType::kF32:
      std::memcpy(out, in, n * sizeof(float));
      return;
    case ElementType::kF16:
      return narrowF16(in, n, out);
    case ElementType::kBf16:
      return narrowBf16(in, n, out);
  }
}

// One head of one row from one element type to another; `scratch` holds n floats.
void convert(const std::byte* in, ElementType inType, size_t n, ElementType outType, float* scratch,
             std::byte* out) {
  if (inType == outType) {
    std::memcpy(out, in, n * elementSize(inType));
    return;
  }
  widenElements(in, inType, n, scratch);
  narrow(scratch, n, outType, out);
}

}  // namespace

KvPages::KvPages(const ModelConfig& config, ElementType pageType, uint32_t capacityTokens)
    : config_(config),
      pool_(nullptr),
      type_(pageType),
      layers_(config.layers),
      kvHeads_(config.kvHeads),
      headDim_(config.headDim),
      capacity_(capacityTokens) {
  const size_t pageBytes = PagePool::pageBytesOf(config, pageType);
  const uint64_t pages = PagePool::pagesFor(capacityTokens);
  memory_ = ZeroedMemory(pages * pageBytes);
  for (uint64_t i = 0; i < pages; ++i) pages_.push_back(memory_.data() + i * pageBytes);
}

KvPages::KvPages(const ModelConfig& config, PagePool& pool, uint32_t capacityTokens,
                 std::vector<PageRef> front)
    : config_(config),
      pool_(&pool),
      type_(pool.pageType()),
      layers_(config.layers),
      kvHeads_(config.kvHeads),
      headDim_(config.headDim),
      capacity_(capacityTokens),
      shared_(static_cast<uint32_t>(front.size())),
      refs_(std::move(front)) {
  SPOLIA_CHECK(pool.pageBytes() == PagePool::pageBytesOf(config, type_));
  const uint64_t pages = PagePool::pagesFor(capacityTokens);
  SPOLIA_CHECK(refs_.size() <= pages);
  while (refs_.size() < pages) refs_.push_back(pool.take());
  for (const PageRef& page : refs_) pages_.push_back(page->data());
}

std::unique_ptr<KvPages> KvPages::fork(uint32_t rows) const {
  SPOLIA_CHECK(pool_ != nullptr && rows <= capacity_);
  const uint32_t whole = rows / kPageTokens;
  auto out = std::make_unique<KvPages>(config_, *pool_, capacity_, front(whole));
  if (rows % kPageTokens > 0) {
    std::memcpy(out->pages_[whole], pages_[whole], pool_->pageBytes());
  }
  return out;
}

std::vector<PageRef> KvPages::front(size_t count) const {
  SPOLIA_CHECK(count <= refs_.size());
  return {refs_.begin(), refs_.begin() + static_cast<ptrdiff_t>(count)};
}

const std::byte* KvPages::block(uint32_t layer, uint32_t page, Plane plane, uint32_t head) const {
  SPOLIA_DCHECK(layer < layers_ && page < pages_.size() && head < kvHeads_);
  const size_t index = (size_t{layer} * kPlanes + static_cast<size_t>(plane)) * kvHeads_ + head;
  return pages_[page] + index * blockElements() * elementSize(type_);
}

std::byte* KvPages::rowAt(uint32_t layer, Plane plane, uint32_t head, uint32_t position) const {
  const uint32_t page = position / kPageTokens;
  const size_t row = position % kPageTokens;
  return pages_[page] + (block(layer, page, plane, head) - pages_[page]) +
         row * headDim_ * elementSize(type_);
}

void KvPages::importRows(uint32_t layer, uint32_t firstPosition, uint32_t tokens,
                         const codec::KvView& rows) {
  SPOLIA_CHECK(layer < layers_ && firstPosition <= capacity_ &&
               tokens <= capacity_ - firstPosition && firstPosition >= shared_ * kPageTokens);
  std::vector<float> scratch(headDim_);
  for (Plane plane : {Plane::kK, Plane::kV}) {
    for (uint32_t head = 0; head < kvHeads_; ++head) {
      for (uint32_t t = 0; t < tokens; ++t) {
        convert(rows.at(0, plane, head, t), rows.type, headDim_, type_, scratch.data(),
                rowAt(layer, plane, head, firstPosition + t));
      }
    }
  }
}

void KvPages::exportRows(uint32_t layer, uint32_t firstPosition, uint32_t tokens,
                         const codec::KvTarget& out) const {
  SPOLIA_CHECK(layer < layers_ && firstPosition <= capacity_ &&
               tokens <= capacity_ - firstPosition);
  std::vector<float> scratch(headDim_);
  for (Plane plane : {Plane::kK, Plane::kV}) {
    for (uint32_t head = 0; head < kvHeads_; ++head) {
      for (uint32_t t = 0; t < tokens; ++t) {
        convert(rowAt(layer, plane, head, firstPosition + t), type_, headDim_, out.type,
                scratch.data(), out.at(0, plane, head, t));
      }
    }
  }
}

void KvPages::writeRow(uint32_t layer, uint32_t position, const float* k, const float* v) {
  SPOLIA_CHECK(layer < layers_ && position < capacity_ && position >= shared_ * kPageTokens);
  for (uint32_t head = 0; head < kvHeads_; ++head) {
    const size_t channel = size_t{head} * headDim_;
    narrow(k + channel, headDim_, type_, rowAt(layer, Plane::kK, head, position));
    narrow(v + channel, headDim_, type_, rowAt(layer, Plane::kV, head, position));
  }
}

}  // namespace spolia::engine
