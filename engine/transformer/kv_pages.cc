#include "engine/transformer/kv_pages.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

#include "codec/base/check.h"
#include "engine/kernels/attention_kernel.h"
#include "engine/kernels/element_convert.h"

namespace spolia::engine {

using codec::ElementType;
using codec::Plane;

static_assert(KvPages::kPageTokens == kKeyBlock);
static_assert(KvPages::kPageTokens == 64, "stale_ has a bit for each row of a page");

namespace {

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
  widen(in, inType, n, scratch);
  narrow(scratch, n, outType, out);
}

}  // namespace

ZeroedMemory::ZeroedMemory(size_t bytes) : bytes_(bytes) {
  if (bytes == 0) return;
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  SPOLIA_CHECK(memory != MAP_FAILED);
  // Faulting in 4 KiB pages would cost more than the first pass reads from them. Refusal is fine.
  (void)madvise(memory, bytes, MADV_HUGEPAGE);
  data_ = static_cast<std::byte*>(memory);
}

ZeroedMemory::~ZeroedMemory() {
  if (data_ != nullptr) munmap(data_, bytes_);
}

KvPages::KvPages(const ModelConfig& config, ElementType pageType, uint32_t capacityTokens)
    : type_(pageType),
      layers_(config.layers),
      kvHeads_(config.kvHeads),
      headDim_(config.headDim),
      capacity_(capacityTokens),
      pages_((capacityTokens + kPageTokens - 1) / kPageTokens),
      blocks_(size_t{layers_} * pages_ * kPlanes * kvHeads_ * blockElements() *
              elementSize(pageType)),
      keys_(size_t{layers_} * pages_ * kvHeads_ * blockElements() * sizeof(float)),
      widened_(pageType == ElementType::kF32
                   ? 0
                   : size_t{layers_} * pages_ * kvHeads_ * blockElements() * sizeof(float)),
      // Zero rows stay zero when they are rotated: nothing is stale.
      stale_(std::make_unique<std::atomic<uint64_t>[]>(size_t{layers_} * pages_)) {}

std::byte* KvPages::blockAt(uint32_t layer, uint32_t page, Plane plane, uint32_t head) const {
  SPOLIA_DCHECK(layer < layers_ && page < pages_ && head < kvHeads_);
  const size_t index =
      ((size_t{layer} * pages_ + page) * kPlanes + static_cast<size_t>(plane)) * kvHeads_ + head;
  return blocks_.data() + index * blockElements() * elementSize(type_);
}

std::byte* KvPages::rowAt(uint32_t layer, Plane plane, uint32_t head, uint32_t position) const {
  return blockAt(layer, position / kPageTokens, plane, head) +
         size_t{position % kPageTokens} * headDim_ * elementSize(type_);
}

float* KvPages::workingBlock(const ZeroedMemory& memory, uint32_t layer, uint32_t head,
                             uint32_t page) const {
  SPOLIA_DCHECK(layer < layers_ && page < pages_ && head < kvHeads_);
  const size_t index = (size_t{layer} * pages_ + page) * kvHeads_ + head;
  return reinterpret_cast<float*>(memory.data()) + index * blockElements();
}

const float* KvPages::keyPanels(uint32_t layer, uint32_t head, uint32_t page) const {
  return workingBlock(keys_, layer, head, page);
}

const float* KvPages::values(uint32_t layer, uint32_t head, uint32_t page) const {
  if (type_ != ElementType::kF32) return workingBlock(widened_, layer, head, page);
  return reinterpret_cast<const float*>(blockAt(layer, page, Plane::kV, head));
}

void KvPages::importRows(uint32_t layer, uint32_t firstPosition, uint32_t tokens,
                         const codec::KvView& rows) {
  SPOLIA_CHECK(layer < layers_ && firstPosition <= capacity_ &&
               tokens <= capacity_ - firstPosition);
  std::vector<float> scratch(headDim_);
  for (Plane plane : {Plane::kK, Plane::kV}) {
    for (uint32_t head = 0; head < kvHeads_; ++head) {
      for (uint32_t t = 0; t < tokens; ++t) {
        convert(rows.at(0, plane, head, t), rows.type, headDim_, type_, scratch.data(),
                rowAt(layer, plane, head, firstPosition + t));
      }
    }
  }
  markWritten(layer, firstPosition, tokens);
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
  SPOLIA_CHECK(layer < layers_ && position < capacity_);
  for (uint32_t head = 0; head < kvHeads_; ++head) {
    const size_t channel = size_t{head} * headDim_;
    narrow(k + channel, headDim_, type_, rowAt(layer, Plane::kK, head, position));
    narrow(v + channel, headDim_, type_, rowAt(layer, Plane::kV, head, position));
  }
  markWritten(layer, position, 1);
}

void KvPages::markWritten(uint32_t layer, uint32_t firstPosition, uint32_t tokens) {
  const uint32_t end = firstPosition + tokens;
  for (uint32_t position = firstPosition; position < end;) {
    const uint32_t page = position / kPageTokens, begin = position % kPageTokens;
    const uint32_t count = std::min(kPageTokens - begin, end - position);
    const uint64_t bits = (count == 64 ? ~uint64_t{0} : (uint64_t{1} << count) - 1) << begin;
    stale_[size_t{layer} * pages_ + page].fetch_or(bits, std::memory_order_relaxed);
    position += count;
  }
}

void KvPages::refresh(uint32_t layer, uint32_t keys, const RopeTable& rope, ThreadPool& pool) {
  SPOLIA_CHECK(layer < layers_ && keys <= capacity_);
  const uint32_t pages = (keys + kPageTokens - 1) / kPageTokens;
  std::vector<uint32_t> stale;
  for (uint32_t page = 0; page < pages; ++page) {
    if (stale_[size_t{layer} * pages_ + page].load(std::memory_order_relaxed) != 0) {
      stale.push_back(page);
    }
  }
  pool.parallelFor(stale.size(), [&](size_t i) { refreshPage(layer, stale[i], rope); });
}

void KvPages::refreshPage(uint32_t layer, uint32_t page, const RopeTable& rope) {
  uint64_t rows = stale_[size_t{layer} * pages_ + page].exchange(0, std::memory_order_relaxed);
  std::vector<float> scratch(headDim_);
  for (; rows != 0; rows &= rows - 1) {
    const auto row = static_cast<uint32_t>(std::countr_zero(rows));
    refreshRow(layer, page * kPageTokens + row, rope, scratch.data());
  }
}

// A row's key goes to one lane of its panel, its value stays a row.
void KvPages::refreshRow(uint32_t layer, uint32_t position, const RopeTable& rope, float* scratch) {
  const uint32_t page = position / kPageTokens, row = position % kPageTokens;
  const RopeTable::Angles angles = rope.at(position);
  for (uint32_t head = 0; head < kvHeads_; ++head) {
    widen(rowAt(layer, Plane::kK, head, position), type_, headDim_, scratch);
    rotateHead(scratch, angles, headDim_, 1.0f, scratch);
    float* lane = workingBlock(keys_, layer, head, page) +
                  size_t{row / kKeyPanel} * kKeyPanel * headDim_ + row % kKeyPanel;
    for (uint32_t i = 0; i < headDim_; ++i) lane[i * kKeyPanel] = scratch[i];
    if (type_ == ElementType::kF32) continue;
    widen(rowAt(layer, Plane::kV, head, position), type_, headDim_,
          workingBlock(widened_, layer, head, page) + size_t{row} * headDim_);
  }
}

}  // namespace spolia::engine
