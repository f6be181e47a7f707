// The frames of presets without a profile: channels in steps of one size per head, each around an
// offset of its own, coded in levels, each a third of the step of the one before. Specified in
// codec/FORMAT.md ("Scaled channels").
//
// Encoding: layOut(), analyseScaled() (codec/scaled/scale_choice.h) of every plane, takeLattices(),
// writeScaledFrame() of each level. Decoding: layOut(), readScaledFrame() of some levels in order,
// then restoreScaled() of the planes wanted. Any thread; a scratch has one.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "codec/base/bytes.h"
#include "codec/base/result.h"
#include "codec/kv_layout.h"
#include "codec/lossy/coefficient_coder.h"
#include "codec/values/plane_rows.h"

namespace spolia::codec {

inline constexpr uint8_t kMaxScaledLevels = 3;
// Of an offset, in steps: with a coefficient added still exact as f32.
inline constexpr int32_t kMaxOffset = 1 << 22;

// One plane of a frame, and where its parts begin in the scratch.
struct ScaledPlane {
  LayerShape shape;
  size_t head = 0;   // into step
  size_t group = 0;  // into classes and, in kStepGroup, into offset

  // The last one may have channels that are always zero.
  uint32_t groups() const { return (shape.channels() + kStepGroup - 1) / kStepGroup; }
};

// What a frame says, and the memory to make or restore it in. Reused from frame to frame; grows to
// what the largest needs.
struct ScaledScratch {
  uint32_t tokens = 0;
  std::vector<ScaledPlane> planes;
  std::vector<float> step;       // [plane][head]
  std::vector<float> offset;     // [plane][channel], in steps; whole numbers
  std::vector<uint8_t> classes;  // [plane][group], at the finest step
  uint32_t levelsRead = 0;
  bool silent = true;                   // no value but zeros was read: `values` holds nothing
  size_t groupStride = 0;               // of values
  std::vector<int16_t> values;          // [plane][group][token][kStepGroup]
  std::vector<CoefficientGroup> coded;  // of one level
  CoefficientScratch coding;
};

// A frame of planes of these shapes has no fewer bytes, and is worth room for their channels.
size_t leastScaledBytes(std::span<const LayerShape> planes);
// Forgets what was there; room for planes of these shapes, in the frame's order.
void layOut(std::span<const LayerShape> planes, uint32_t tokens, ScaledScratch& scratch);

// Memory to write levels in; reused.
struct LevelScratch {
  // The values on the lattices above the finest, [levels below]; those are of the frame.
  std::array<std::vector<int16_t>, kMaxScaledLevels - 1> coarser;
  std::vector<int16_t> differences;
  std::vector<uint8_t> digits;
  std::vector<std::byte> packed;
  std::vector<CoefficientGroup> coded;
  CoefficientScratch coding;
};

// The frame's values on the lattices of all levels: before the first is written.
void takeLattices(const ScaledScratch& frame, uint8_t levels, LevelScratch& scratch);
// Appends one level of what was analysed.
void writeScaledFrame(uint8_t level, uint8_t levels, const ScaledScratch& frame,
                      LevelScratch& scratch, ByteWriter& out);

// Adds one level. kCorrupt when malformed, or not of one kind with the levels read before. Takes
// memory for the values only when the frame is long enough to hold them, see FORMAT.md ("Limits").
Status readScaledFrame(ByteReader& in, uint8_t level, uint8_t levels, ScaledScratch& scratch);

// Writes what the levels read so far give of a plane. `onto`: level 0 was not among them; what they
// add is added to the values that are there.
void restoreScaled(const ScaledScratch& scratch, size_t plane, bool onto, const PlaneWrite& to);

}  // namespace spolia::codec
