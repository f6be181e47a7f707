#include "engine/transformer/decode_attention.h"

#include <algorithm>
#include <array>
#include <functional>

#include "codec/base/check.h"
#include "engine/kernels/attention_kernel.h"
#include "engine/transformer/attention.h"
#include "engine/transformer/page_blocks.h"

namespace spolia::engine {

// What one thread works with: a run of keys and values of one head, and the state of the query
// heads that share it.
struct DecodeAttention::Scratch {
  Scratch(size_t group, size_t headDim)
      : wide(1, kKeyBlock * headDim),
        keys(kMaxBlocks, kKeyBlock * headDim),
        values(kMaxBlocks, kKeyBlock * headDim),
        scores(group, kScoreStride),
        rowMax(group),
        rowSum(group),
        seen(group) {}

  Matrix wide;          // [1][64 * headDim]
  Matrix keys, values;  // [blocks of a run][64 * headDim]
  Matrix scores;        // [heads of a group][kScoreStride]
  std::vector<float> rowMax, rowSum;
  std::vector<KeyRange> seen;
};

struct DecodeAttention::Call {
  uint32_t layer;
  const MatrixView& q;
  std::span<const DecodeRow> rows;
  const RopeTable& rope;
  uint32_t window;
  const MutableMatrixView& out;
};

DecodeAttention::DecodeAttention(const ModelConfig& config, ThreadPool& pool)
    : config_(config), pool_(pool) {
  for (unsigned i = 0; i < pool.threads(); ++i) {
    scratch_.emplace_back(config.heads / config.kvHeads, config.headDim);
  }
}

DecodeAttention::~DecodeAttention() = default;

// The query heads of one kv head, in runs that begin at the same keys as those of attend().
void DecodeAttention::attendHead(const Call& call, size_t row, uint32_t kvHead, Scratch& s) {
  const DecodeRow& sequence = call.rows[row];
  const KvPages& pages = *sequence.pages;
  const size_t headDim = pages.headDim(), group = s.rowMax.size();
  const size_t column = kvHead * group * headDim;
  const AttentionTile tile{
      group,           headDim,         call.q.row(row) + column, call.out.row(row) + column,
      s.rowMax.data(), s.rowSum.data(), s.scores.data()};
  resetTile(tile);
  const uint32_t end = sequence.position + 1;
  const uint32_t begin = firstKeyOf(sequence.position, call.window);
  constexpr auto kRun = static_cast<uint32_t>(kMaxRunKeys);
  constexpr auto kBlock = static_cast<uint32_t>(kKeyBlock);
  for (uint32_t first = begin / kRun * kRun; first < end; first += kRun) {
    const KeyRange seen{begin > first ? begin - first : 0, std::min(end - first, kRun)};
    std::ranges::fill(s.seen, seen);
    std::array<KeyBlock, kMaxBlocks> blocks{};
    size_t count = 0;
    for (uint32_t key = first; key < first + seen.end; key += kBlock, ++count) {
      blocks[count] = {s.keys.row(count), s.values.row(count)};
      if (key + kBlock <= begin) continue;  // nothing of it is seen, so nothing is read
      const PageBlock block{pages, call.layer, key / kBlock, kvHead};
      const uint32_t keys = std::min(kBlock, end - key);
      turnKeys(block, keys, call.rope, s.wide.data(), s.keys.row(count));
      blocks[count].values = widenValues(block, keys, s.values.row(count));
    }
    attendRun(tile, {blocks.data(), count}, s.seen.data());
  }
  finishTile(tile);
}

void DecodeAttention::attend(uint32_t layer, const MatrixView& q, std::span<const DecodeRow> rows,
                             const RopeTable& rope, uint32_t window, const MutableMatrixView& out) {
  SPOLIA_CHECK(q.rows() == rows.size() && out.rows() == rows.size());
  const Call call{layer, q, rows, rope, window, out};
  const size_t heads = config_.kvHeads;
  next_ = 0;
  const auto body = [&](size_t thread) {
    for (size_t i = next_++; i < rows.size() * heads; i = next_++) {
      attendHead(call, i / heads, static_cast<uint32_t>(i % heads), scratch_[thread]);
    }
  };
  pool_.parallelFor(std::min<size_t>(scratch_.size(), rows.size() * heads), std::ref(body));
}

}  // namespace spolia::engine
