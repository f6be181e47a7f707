// Rotary position embedding in Hugging Face's convention: channel i of a head turns together with
// channel i + headDim / 2, by the angle position * theta^(-2i / headDim), or by that angle scaled.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "engine/kernels/rope_scaling.h"

namespace spolia::engine {

// Cosines and sines of all positions of a model, computed when first asked for, in blocks. Owned by
// the transformer; any thread.
//
// The angle is rounded as the reference implementation rounds it (frequency and product in f32);
// a better one would differ from it by 1e-4 at position 4096. Cosines and sines are those of a pure
// rotation whatever the scaling: its attentionFactor belongs to whoever scales the queries.
class RopeTable {
 public:
  // headDim even.
  RopeTable(uint32_t headDim, float theta, uint32_t maxPositions, const RopeScaling& scaling = {});

  struct Angles {
    const float* cos;  // [headDim / 2]
    const float* sin;  // [headDim / 2]
  };
  // position < maxPositions. The pointers live as long as the table.
  Angles at(uint32_t position) const;
  uint32_t headDim() const { return headDim_; }
  uint32_t maxPositions() const { return maxPositions_; }

 private:
  static constexpr uint32_t kBlock = 256;
  struct Block {
    std::once_flag once;
    std::vector<float> values;  // [kBlock][cos of each pair, then sin of each pair]
  };
  void fill(Block& block, uint32_t firstPosition) const;

  uint32_t headDim_;
  uint32_t maxPositions_;
  std::vector<float> frequencies_;  // [headDim / 2]
  std::unique_ptr<Block[]> blocks_;
};

// Turns one head [headDim] from `in` to `out` (may be the same), times `scale`.
void rotateHead(const float* in, const RopeTable::Angles& angles, size_t headDim, float scale,
                float* out);
// Turns it back by the same angles.
void rotateHeadBack(const float* in, const RopeTable::Angles& angles, size_t headDim, float* out);

}  // namespace spolia::engine
