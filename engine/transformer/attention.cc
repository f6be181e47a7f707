#include "engine/transformer/attention.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>

#include "codec/base/check.h"
#include "engine/kernels/attention_kernel.h"

namespace spolia::engine {

namespace {

// Query rows of a tile: the heads that share a kv head are stacked, so a key read from cache serves
// up to 48 of them (8 register tiles of 6). More rows save little and their scores, 1 KiB each,
// leave the L2 cache to fewer keys.
constexpr size_t kTileRows = 48;

// What one thread needs for a tile, in one piece.
struct TileMemory {
  TileMemory(size_t rows, size_t headDim)
      : floats(std::make_unique_for_overwrite<float[]>(rows * (2 * headDim + kScoreStride + 2))),
        seen(std::make_unique_for_overwrite<KeyRange[]>(rows)) {
    tile.rows = rows;
    tile.headDim = headDim;
    q = floats.get();
    tile.q = q;
    tile.out = q + rows * headDim;
    tile.scores = tile.out + rows * headDim;
    tile.rowMax = tile.scores + rows * kScoreStride;
    tile.rowSum = tile.rowMax + rows;
  }

  std::unique_ptr<float[]> floats;
  std::unique_ptr<KeyRange[]> seen;
  AttentionTile tile;
  float* q = nullptr;
};

// Rows of one tile: all query heads of one kv head for rows [firstRow, firstRow + rows).
struct TileTask {
  uint32_t kvHead;
  size_t firstRow, rows;
};

// The part of keys begin .. end - 1 that lies in the run that begins at `first`.
KeyRange inRun(size_t begin, size_t end, size_t first) {
  const auto within = [first](size_t key) {
    return static_cast<uint32_t>(key <= first ? 0 : std::min(key - first, kMaxRunKeys));
  };
  return {within(begin), within(end)};
}

void attendTile(const TileTask& task, const MatrixView& q, std::span<const uint32_t> positions,
                const WorkingKv& kv, uint32_t window, const MutableMatrixView& out) {
  const size_t headDim = kv.headDim();
  const size_t group = q.columns() / headDim / kv.kvHeads();
  const size_t column = task.kvHead * group * headDim;
  TileMemory memory(task.rows * group, headDim);
  AttentionTile& tile = memory.tile;
  for (size_t r = 0; r < task.rows; ++r) {
    std::memcpy(memory.q + r * group * headDim, q.row(task.firstRow + r) + column,
                group * headDim * sizeof(float));
  }
  resetTile(tile);

  const size_t keys = size_t{positions[task.firstRow + task.rows - 1]} + 1;
  // Runs begin at the same keys whatever the window and the tile: so rows stay the same bit for
  // bit.
  const size_t begin = firstKeyOf(positions[task.firstRow], window) / kMaxRunKeys * kMaxRunKeys;
  for (size_t first = begin; first < keys; first += kMaxRunKeys) {
    for (size_t r = 0; r < tile.rows; ++r) {
      const uint32_t position = positions[task.firstRow + r / group];
      memory.seen[r] = inRun(firstKeyOf(position, window), size_t{position} + 1, first);
    }
    std::array<KeyBlock, kMaxBlocks> blocks;
    size_t count = 0;
    for (size_t key = first; key < std::min(keys, first + kMaxRunKeys); key += kKeyBlock) {
      const auto page = static_cast<uint32_t>(key / kKeyBlock);
      blocks[count++] = {kv.keyPanels(task.kvHead, page), kv.values(task.kvHead, page)};
    }
    attendRun(tile, {blocks.data(), count}, memory.seen.get());
  }
  finishTile(tile);
  for (size_t r = 0; r < task.rows; ++r) {
    std::memcpy(out.row(task.firstRow + r) + column, tile.out + r * group * headDim,
                group * headDim * sizeof(float));
  }
}

}  // namespace

void attend(const MatrixView& q, std::span<const uint32_t> positions, const WorkingKv& kv,
            uint32_t window, const MutableMatrixView& out, ThreadPool& pool) {
  SPOLIA_CHECK(q.rows() == positions.size() && out.rows() == q.rows());
  const size_t heads = q.columns() / kv.headDim();
  SPOLIA_CHECK(heads % kv.kvHeads() == 0);
  const size_t step = std::max<size_t>(1, kTileRows / (heads / kv.kvHeads()));
  const size_t tiles = (q.rows() + step - 1) / step;
  // Later rows see more keys: largest tiles first, so that the pool ends together.
  const uint32_t kvHeads = kv.kvHeads();
  pool.parallelFor(tiles * kvHeads, [&](size_t i) {
    const size_t tile = tiles - 1 - i / kvHeads;
    const size_t first = tile * step;
    attendTile({static_cast<uint32_t>(i % kvHeads), first, std::min(step, q.rows() - first)}, q,
               positions, kv, window, out);
  });
}

}  // namespace spolia::engine
