// DenseKv: rows of KV in memory of their own, [layer][plane][row][channel]: what chunks are encoded
// from and decoded into. Moves; one thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "codec/base/aligned_buffer.h"
#include "codec/kv_layout.h"
#include "engine/model/model_config.h"

namespace spolia::engine {

class DenseKv {
 public:
  DenseKv() = default;
  // Not initialised.
  DenseKv(const codec::LayerShape& shape, codec::ElementType type, uint32_t layers, uint32_t rows) {
    strides_.type = type;
    strides_.headStride = static_cast<ptrdiff_t>(shape.headDim * codec::elementSize(type));
    strides_.tokenStride = strides_.headStride * shape.kvHeads;
    strides_.planeStride = strides_.tokenStride * rows;
    strides_.layerStride = strides_.planeStride * 2;
    bytes_ = AlignedBuffer(static_cast<size_t>(strides_.layerStride) * layers);
  }
  DenseKv(const ModelConfig& config, codec::ElementType type, uint32_t layers, uint32_t rows)
      : DenseKv(codec::LayerShape{config.kvHeads, config.headDim}, type, layers, rows) {}

  // Memory from layer `layer` on.
  codec::KvTarget target(uint32_t layer = 0) {
    codec::KvTarget out = strides_;
    out.base = bytes_.data() + layer * strides_.layerStride;
    return out;
  }
  codec::KvView view(uint32_t layer = 0) const {
    return {bytes_.data() + layer * strides_.layerStride,
            strides_.layerStride,
            strides_.planeStride,
            strides_.headStride,
            strides_.tokenStride,
            strides_.type};
  }

 private:
  AlignedBuffer bytes_;
  codec::KvTarget strides_;  // without a base
};

}  // namespace spolia::engine
