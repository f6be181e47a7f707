#include "codec/values/layer_shapes.h"

#include <string>

#include "codec/base/varint.h"

namespace spolia::codec {
namespace {

Status malformed(std::string what) {
  return Status(ErrorCode::kCorrupt, std::move(what));
}

}  // namespace

void writeShapes(const std::vector<LayerShape>& layers, ByteWriter& out) {
  writeVarint(static_cast<uint32_t>(layers.size()), out);
  for (size_t begin = 0; begin < layers.size();) {
    size_t end = begin;
    while (end < layers.size() && layers[end] == layers[begin]) ++end;
    writeVarint(static_cast<uint32_t>(end - begin), out);
    writeVarint(layers[begin].kvHeads, out);
    writeVarint(layers[begin].headDim, out);
    begin = end;
  }
}

Status readShapes(ByteReader& in, std::vector<LayerShape>& layers) {
  uint32_t count = 0;
  if (!readVarint(in, count) || count == 0 || count > kMaxLayers) {
    return malformed("layers: expected 1 to " + std::to_string(kMaxLayers));
  }
  while (layers.size() < count) {
    uint32_t run = 0;
    LayerShape shape;
    const bool read =
        readVarint(in, run) && readVarint(in, shape.kvHeads) && readVarint(in, shape.headDim);
    if (!read || run == 0 || run > count - layers.size())
      return malformed("layer shapes: malformed");
    const uint64_t channels = uint64_t{shape.kvHeads} * shape.headDim;
    if (channels == 0 || channels > kMaxChannels) {
      return malformed("layer shapes: expected 1 to " + std::to_string(kMaxChannels) + " channels");
    }
    layers.insert(layers.end(), run, shape);
  }
  return {};
}

}  // namespace spolia::codec
