#include "engine/products/block_layout.h"

#include <algorithm>
#include <cstring>

#include "engine/kernels/quant_blocks.h"

namespace spolia::engine {

namespace {

constexpr size_t kOutputs = BlockLayout::kOutputs;

// The bytes of one output in a tile: a column of its rows.
class Column {
 public:
  Column(const BlockLayout& layout, std::byte* tile, size_t output)
      : layout_(layout), tile_(tile), output_(output) {}

  uint8_t* d() const { return bytes(tile_) + 2 * output_; }
  uint8_t* dmin() const { return d() + 2 * kOutputs; }
  uint8_t* scale(size_t group) const { return groupOf(group); }
  uint8_t* minimum(size_t group) const { return groupOf(group) + kOutputs; }
  uint8_t* value(size_t group, size_t row) const {
    return groupOf(group) + layout_.groupHead() + row * kOutputs;
  }

 private:
  static uint8_t* bytes(std::byte* at) { return reinterpret_cast<uint8_t*>(at); }
  uint8_t* groupOf(size_t group) const {
    return bytes(tile_) + layout_.tileHead() + group * layout_.groupBytes() + output_;
  }

  const BlockLayout& layout_;
  std::byte* tile_;
  size_t output_;
};

uint8_t joined(int low, int high, int shift) {
  return static_cast<uint8_t>(low | high << shift);
}

// The values of a group, q [layout.group], to its column and back.
void putValues(WeightType type, const Column& column, size_t group, const uint8_t* q) {
  if (type == WeightType::kQ8_0) {
    for (size_t i = 0; i < 32; ++i) *column.value(group, i) = q[i];
  } else if (type == WeightType::kQ6K) {
    for (size_t i = 0; i < 8; ++i) {
      *column.value(group, i) = joined(q[i] & 15, q[8 + i] & 15, 4);
    }
    for (size_t i = 0; i < 4; ++i) {
      const uint8_t low = joined(q[i] >> 4, q[4 + i] >> 4, 2);
      const uint8_t high = joined(q[8 + i] >> 4, q[12 + i] >> 4, 2);
      *column.value(group, 8 + i) = joined(low, high, 4);
    }
  } else {
    for (size_t i = 0; i < 16; ++i) *column.value(group, i) = joined(q[i], q[16 + i], 4);
  }
}

void takeValues(WeightType type, const Column& column, size_t group, uint8_t* q) {
  if (type == WeightType::kQ8_0) {
    for (size_t i = 0; i < 32; ++i) q[i] = *column.value(group, i);
    return;
  }
  const size_t half = type == WeightType::kQ6K ? 8 : 16;
  for (size_t i = 0; i < half; ++i) {
    q[i] = *column.value(group, i) & 15;
    q[half + i] = static_cast<uint8_t>(*column.value(group, i) >> 4);
  }
  if (type != WeightType::kQ6K) return;
  for (size_t i = 0; i < 16; ++i) {
    const int high = *column.value(group, 8 + i % 4) >> i / 4 * 2 & 3;
    q[i] = joined(q[i], high, 4);
  }
}

void putParts(WeightType type, const BlockLayout& layout, const Column& column,
              const BlockParts& parts) {
  std::memcpy(column.d(), &parts.d, 2);
  if (layout.minimums) std::memcpy(column.dmin(), &parts.dmin, 2);
  for (size_t group = 0; group < layout.inputs / layout.group; ++group) {
    if (layout.groupScales) *column.scale(group) = parts.scale[group];
    if (layout.minimums) *column.minimum(group) = parts.minimum[group];
    putValues(type, column, group, parts.q + group * layout.group);
  }
}

BlockParts takeParts(WeightType type, const BlockLayout& layout, const Column& column) {
  BlockParts parts;
  std::memcpy(&parts.d, column.d(), 2);
  if (layout.minimums) std::memcpy(&parts.dmin, column.dmin(), 2);
  for (size_t group = 0; group < layout.inputs / layout.group; ++group) {
    if (layout.groupScales) parts.scale[group] = *column.scale(group);
    if (layout.minimums) parts.minimum[group] = *column.minimum(group);
    takeValues(type, column, group, parts.q + group * layout.group);
  }
  return parts;
}

}  // namespace

void packBlocks(WeightType type, const std::byte* rows, size_t outputs, size_t inputs,
                std::byte* panel) {
  const BlockLayout layout = blockLayout(type);
  const size_t rowBytes = storedBytes(type, inputs);
  for (size_t tile = 0; tile < inputs / layout.inputs; ++tile, panel += layout.tileBytes()) {
    if (outputs < kOutputs) std::fill_n(panel, layout.tileBytes(), std::byte{});
    const std::byte* block = rows + tile * blockBytes(type);
    for (size_t output = 0; output < outputs; ++output, block += rowBytes) {
      putParts(type, layout, Column(layout, panel, output), takeApart(type, block));
    }
  }
}

void copyBlockRow(WeightType type, const std::byte* panel, size_t output, size_t inputs,
                  float* out) {
  const BlockLayout layout = blockLayout(type);
  auto* tile = const_cast<std::byte*>(panel);  // only read
  for (size_t input = 0; input < inputs; input += layout.inputs, tile += layout.tileBytes()) {
    widenParts(type, takeParts(type, layout, Column(layout, tile, output)), out + input);
  }
}

}  // namespace spolia::engine
