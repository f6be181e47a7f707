// Well-formed streams of scaled channels that no encoder makes: any steps, offsets, classes and
// numbers; sums leave the range of the type.
#pragma once

#include <random>
#include <vector>

#include "codec/scaled/scaled_frame.h"
#include "tests/codec/codec_samples.h"
#include "tests/codec/golden_kv.h"

namespace spolia::codec {

// Numbers within the lattice of a level, many of them small.
inline void fillAny(ScaledScratch& scratch, std::mt19937_64& random) {
  for (float& step : scratch.step) {
    const bool usual = random() % 2 == 0;
    step = f32FromBf16(static_cast<uint16_t>(usual ? 0x3f80 : 1 + random() % kMaxBf16Bits));
  }
  for (float& offset : scratch.offset) {
    const int32_t reach = random() % 2 == 0 ? 70 : kMaxOffset;
    offset =
        static_cast<float>(static_cast<int64_t>(random() % (2 * uint64_t{1} * reach + 1)) - reach);
  }
  for (uint8_t& c : scratch.classes) c = static_cast<uint8_t>(random() % kStepClasses);
  scratch.values.assign(scratch.classes.size() * scratch.groupStride, 0);
  if (random() % 4 == 0) return;
  for (int16_t& v : scratch.values) {
    const int reach = random() % 3 != 0 ? 2 : random() % 5 == 0 ? kMaxCoefficient : 30;
    v = static_cast<int16_t>(static_cast<int>(random() % (2 * reach + 1)) - reach);
  }
}

inline Bytes anyScaledStream(std::mt19937_64& random) {
  const auto upTo = [&](uint32_t limit) { return static_cast<uint32_t>(1 + random() % limit); };
  const uint32_t tokens = upTo(50);
  const std::vector<LayerShape> layers{{upTo(3), upTo(9)}, {upTo(3), upTo(9)}};
  GoldenKv kv(layers, tokens, static_cast<ElementType>(random() % 3));
  EncodeOptions options;
  options.preset = static_cast<Preset>(1 + random() % 3);
  options.levels = static_cast<uint8_t>(upTo(3));
  options.tokenGroup = upTo(60);
  const StreamHeader header =
      parseHeader(encodeStream(sampleIdentity(tokens), layers, kv.view(), options).value()).value();
  const size_t parts = header.frames.size() / header.levels;
  std::vector<Bytes> frames(header.frames.size());
  LevelScratch writing;
  for (uint32_t i = 0; i < parts; ++i) {
    const FramePlace place = placeOf(header, i);
    std::vector<LayerShape> shapes;
    shapesOf(header, place.group, shapes);
    ScaledScratch scratch;
    layOut(shapes, place.tokenEnd - place.tokenBegin, scratch);
    fillAny(scratch, random);
    takeLattices(scratch, header.levels, writing);
    for (uint8_t level = 0; level < header.levels; ++level) {
      ByteWriter out;
      out.u8(4);
      writeScaledFrame(level, header.levels, scratch, writing, out);
      frames[level * parts + i] = out.take();
    }
  }
  return assembleStream(header, frames);
}

}  // namespace spolia::codec
