// KV of any shapes as golden streams keep it: dense files, ordered by layer, K before V, token,
// head and channel. And streams put together frame by frame, with what the encoder does not make:
// other plane groups, side sections.
#pragma once

#include <cmath>
#include <cstring>
#include <random>
#include <utility>
#include <vector>

#include "codec/base/checksum.h"
#include "codec/byte_planes.h"
#include "codec/codec.h"
#include "codec/frame_parts.h"
#include "codec/scaled/scale_choice.h"
#include "codec/stream_header.h"
#include "codec/values/half.h"

namespace spolia::codec {

// Memory with one set of strides for layers of differing shapes: rows of the widest layer.
class GoldenKv {
 public:
  GoldenKv(std::vector<LayerShape> layers, uint32_t tokens, ElementType type)
      : layers_(std::move(layers)), tokens_(tokens), type_(type) {
    for (const LayerShape& shape : layers_) {
      headDim_ = std::max(headDim_, shape.headDim);
      heads_ = std::max(heads_, shape.kvHeads);
    }
    bytes_.resize(size_t{2} * layers_.size() * tokens_ * rowBytes());
  }

  KvView view() const { return memory<const std::byte>(bytes_.data()); }
  KvTarget target() { return memory<std::byte>(bytes_.data()); }
  const std::vector<LayerShape>& layers() const { return layers_; }

  // Calls visit(bytes of one head's row) in the order of the files.
  template <typename Visit>
  void forEachHead(Visit visit) {
    const KvTarget to = target();
    for (uint32_t layer = 0; layer < layers_.size(); ++layer) {
      for (Plane plane : {Plane::kK, Plane::kV}) {
        for (uint32_t t = 0; t < tokens_; ++t) {
          for (uint32_t h = 0; h < layers_[layer].kvHeads; ++h) {
            visit(MutableByteSpan(to.at(layer, plane, h, t),
                                  layers_[layer].headDim * elementSize(type_)));
          }
        }
      }
    }
  }

  Bytes dense() {
    Bytes out;
    forEachHead([&](MutableByteSpan head) { out.insert(out.end(), head.begin(), head.end()); });
    return out;
  }
  // False when the length is another.
  bool assign(ByteSpan dense) {
    bool fits = true;
    forEachHead([&](MutableByteSpan head) {
      if (dense.size() < head.size()) {
        fits = false;
        return;
      }
      std::memcpy(head.data(), dense.data(), head.size());
      dense = dense.subspan(head.size());
    });
    return fits && dense.empty();
  }

  // Channels of differing scale and mean, as in real KV.
  void fill(uint64_t seed) {
    std::mt19937_64 random(seed);
    std::normal_distribution<float> normal;
    std::vector<float> scale(size_t{2} * layers_.size() * headDim_ * heads_);
    std::vector<float> mean(scale.size());
    for (size_t i = 0; i < scale.size(); ++i) {
      scale[i] = std::exp(normal(random));
      mean[i] = normal(random) * scale[i];
    }
    size_t row = 0;
    forEachHead([&](MutableByteSpan head) {
      const size_t values = head.size() / elementSize(type_);
      const size_t first = row++ % heads_ * headDim_;
      for (size_t i = 0; i < values; ++i) {
        set(head.data() + i * elementSize(type_),
            mean[first + i] + scale[first + i] * normal(random));
      }
    });
  }
  // Two heads' first channels never change, and one value in a hundred is a thousand times too
  // large.
  void fillWithOutliers(uint64_t seed) {
    fill(seed);
    std::mt19937_64 random(seed);
    forEachHead([&](MutableByteSpan head) {
      set(head.data(), 3.25f);
      if (random() % 8 == 0) set(head.data() + head.size() / 2, 4000);
    });
  }
  // Any bits at all, NaNs and infinities among them.
  void fillBits(uint64_t seed) {
    std::mt19937_64 random(seed);
    for (std::byte& b : bytes_) b = static_cast<std::byte>(random());
  }

 private:
  size_t rowBytes() const { return size_t{heads_} * headDim_ * elementSize(type_); }
  template <typename Byte>
  BasicKvMemory<Byte> memory(Byte* base) const {
    const auto row = static_cast<ptrdiff_t>(rowBytes());
    return {base,          2 * row * tokens_,
            row * tokens_, static_cast<ptrdiff_t>(headDim_ * elementSize(type_)),
            row,           type_};
  }
  void set(std::byte* at, float value) const {
    if (type_ == ElementType::kF32) {
      std::memcpy(at, &value, sizeof value);
      return;
    }
    const uint16_t half = type_ == ElementType::kF16 ? f16FromF32(value) : bf16FromF32(value);
    std::memcpy(at, &half, sizeof half);
  }

  std::vector<LayerShape> layers_;
  uint32_t tokens_;
  ElementType type_;
  uint32_t headDim_ = 0;
  uint32_t heads_ = 0;
  Bytes bytes_;
};

struct SidePart {
  uint32_t type;
  Bytes bytes;
};

// Seals sizes and checksums of frames and side sections into `header` and joins everything.
inline Bytes assembleStream(StreamHeader header, const std::vector<Bytes>& frames,
                            const std::vector<SidePart>& sides = {}) {
  Bytes body;
  header.version = kStreamVersion;
  header.chunkId = chunkIdOf(header.identity);
  header.frames.resize(frames.size());
  for (size_t i = 0; i < frames.size(); ++i) {
    header.frames[i].size = static_cast<uint32_t>(frames[i].size());
    header.frames[i].checksum = xxh3(frames[i], partSeed(header.chunkId, i));
    body.insert(body.end(), frames[i].begin(), frames[i].end());
  }
  for (size_t i = 0; i < sides.size(); ++i) {
    const uint64_t sum = xxh3(sides[i].bytes, partSeed(header.chunkId, kSideSectionPart + i));
    header.sideSections.push_back(
        {sides[i].type, 0, static_cast<uint32_t>(sides[i].bytes.size()), sum});
    body.insert(body.end(), sides[i].bytes.begin(), sides[i].bytes.end());
  }
  Bytes stream = writeHeader(header).value();
  stream.insert(stream.end(), body.begin(), body.end());
  return stream;
}

// One frame as the specification describes it, of lossless or `high`, for any plane groups. Values
// are finite.
inline Bytes encodeFrame(const StreamHeader& header, uint32_t index, const KvView& kv) {
  const FramePlace place = placeOf(header, index);
  const uint32_t tokens = place.tokenEnd - place.tokenBegin;
  const std::vector<PlaneRef>& group = header.planeGroups[place.group];
  std::vector<LayerShape> shapes;
  shapesOf(header, place.group, shapes);
  ScaledScratch scaled;
  layOut(shapes, tokens, scaled);
  ScaleScratch choosing;
  ByteWriter out;
  out.u8(header.preset == Preset::kLossless ? 1 : 4);
  for (size_t p = 0; p < group.size(); ++p) {
    const PlaneRows<const std::byte> rows{
        kv.at(group[p].layer, group[p].plane, 0, place.tokenBegin), kv.headStride, kv.tokenStride,
        kv.type};
    if (header.preset == Preset::kLossless) {
      writeBytePlanes(rows, shapes[p], tokens, out);
    } else {
      analyseScaled(rows, 0.18, p, choosing, scaled).ignore();
    }
  }
  if (header.preset != Preset::kLossless) {
    LevelScratch writing;
    takeLattices(scaled, header.levels, writing);
    writeScaledFrame(static_cast<uint8_t>(place.level), header.levels, scaled, writing, out);
  }
  return out.take();
}

}  // namespace spolia::codec
