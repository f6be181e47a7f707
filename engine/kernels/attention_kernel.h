// Attention of a tile of query rows over runs of keys, with online softmax: what one thread does
// for one kv head. Scratch is the caller's. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace spolia::engine {

// Keys come in panels of this many, [headDim][kKeyPanel]: one panel row is two AVX2 vectors, so a
// tile of 6 query rows x 16 keys is 12 accumulators, which with 2 key vectors and 1 broadcast fills
// the 16 registers and needs 8 loads for 12 multiply-adds.
inline constexpr size_t kKeyPanel = 16;
// Keys of one block: a page.
inline constexpr size_t kKeyBlock = 64;
// Blocks scored before the softmax state is updated. 256 keys amortise loading, rescaling and
// storing the output tile; scores of 48 rows are then 48 KiB, a tenth of the L2 cache.
inline constexpr size_t kMaxBlocks = 4;
inline constexpr size_t kMaxRunKeys = kKeyBlock * kMaxBlocks;
// Floats from one row of scores to the next. Without the extra cache line rows would be 1 KiB
// apart, and one panel's column of scores would fall on 4 of the 64 sets of an L1 cache.
inline constexpr size_t kScoreStride = kMaxRunKeys + kKeyPanel;

// kKeyBlock keys of one head.
struct KeyBlock {
  const float* keys;    // [kKeyBlock / kKeyPanel][headDim][kKeyPanel]
  const float* values;  // [kKeyBlock][headDim]
};

// Keys begin .. end - 1 of a run: what one row sees of it, nothing where the two are equal.
struct KeyRange {
  uint32_t begin;
  uint32_t end;
};

// State of `rows` query rows between runs. q is scaled by 1 / sqrt(headDim) already.
struct AttentionTile {
  size_t rows = 0;
  size_t headDim = 0;
  const float* q = nullptr;  // [rows][headDim]
  float* out = nullptr;      // [rows][headDim], sum of exp(score - rowMax) * value so far
  float* rowMax = nullptr;   // [rows]
  float* rowSum = nullptr;   // [rows]
  float* scores = nullptr;   // [rows][kScoreStride], scratch
};

// Before the first run.
void resetTile(const AttentionTile& tile);
// Takes in the run `blocks` (1 .. kMaxBlocks of them); row r sees the keys seen[r] of its
// blocks.size() * kKeyBlock. What is more than a panel before the first key that a row sees, or
// behind the last, is not read.
void attendRun(const AttentionTile& tile, std::span<const KeyBlock> blocks, const KeyRange* seen);
// After the last run: divides by the sums. Each row has seen a key.
void finishTile(const AttentionTile& tile);

}  // namespace spolia::engine
