// The frames of `balanced` and `small`: rows predicted from their tokens, what is left turned into
// the profile's bases, quantised and coded in levels, each a third of the step of the one before.
// Specified in codec/FORMAT.md ("Learnt transforms").
//
// Encoding: analyse() a part once, writeLossyFrame() each level. Decoding: beginLossy(), then
// readLossyFrame() of some levels in order, then restoreLossy(). Any thread; a scratch has one.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "codec/base/bytes.h"
#include "codec/base/result.h"
#include "codec/kv_layout.h"
#include "codec/lossy/coefficient_coder.h"
#include "codec/lossy/panel_values.h"
#include "codec/lossy/profile.h"

namespace spolia::codec {

inline constexpr uint8_t kMaxLossyLevels = 3;

// What frames are coded with. Borrowed.
struct LossyContext {
  const Profile& profile;
  const Profile::Transform& transform;
  std::span<const uint32_t> tokens;  // of the whole chunk; empty: nothing is predicted
};

// The planes (2 x layer, plus 1 for V) and tokens of a frame.
struct LossyPart {
  uint32_t planeBegin = 0;
  uint32_t planeEnd = 0;
  uint32_t tokenBegin = 0;
  uint32_t tokenEnd = 0;

  uint32_t tokens() const { return tokenEnd - tokenBegin; }
};

// First plane of each plane group that an encoder makes, and the number of planes behind the last.
std::vector<uint32_t> lossyGroupBounds(const Profile::Transform& transform, size_t layers);

// The coefficients of a part, and the memory to make or restore them in. Reused from part to part.
struct LossyScratch {
  int8_t gain = 0;              // the step is 2^(gain / 4) of the profile's
  std::vector<int8_t> spread;   // [block of the part]: quarter octaves to its classes
  std::vector<int16_t> values;  // [block][token][component]
  std::vector<size_t> first;    // [block]: into values
  std::vector<int16_t> level;   // what a level stores of the values
  uint32_t levelsRead = 0;
  std::vector<CoefficientGroup> groups;
  CoefficientScratch coding;
  // Of a batch of tokens: codes, what they and the coefficients are multiplied as, and rows.
  std::vector<int16_t> codes;
  FactorTiles codeTiles, coefficientTiles;
  std::vector<float> residual, projected, limit, energy;
  std::vector<std::byte> panel;
};

// Quantises a part of `kv`, whose range is the whole chunk. kInvalidArgument when the part's planes
// cut a block, or a value is not finite.
Status analyseLossy(const LossyContext& context, const LossyPart& part, const KvView& kv,
                    int8_t gain, LossyScratch& scratch);
// Appends one level, 0 first.
void writeLossyFrame(const LossyContext& context, const LossyPart& part, uint8_t level,
                     uint8_t levels, LossyScratch& scratch, ByteWriter& out);

// Adds the symbols that writeLossyFrame() would code to the counts: for learning tables.
void countLossyFrame(const LossyContext& context, const LossyPart& part, uint8_t level,
                     uint8_t levels, LossyScratch& scratch, ClassCounts& counts);

// kCorrupt when the part's planes cut a block.
Status beginLossy(const LossyContext& context, const LossyPart& part, LossyScratch& scratch);
// Adds one level to the coefficients. kCorrupt when malformed, or not of one kind with the levels
// read before.
Status readLossyFrame(ByteReader& in, const LossyContext& context, const LossyPart& part,
                      uint8_t level, uint8_t levels, LossyScratch& scratch);
// Writes what the levels read so far give to the part of `target` that lies in `range`. `onto`:
// level 0 was not among them; what they add is added to the values that are there.
void restoreLossy(const LossyContext& context, const LossyPart& part, bool onto,
                  const KvRange& range, const KvTarget& target, LossyScratch& scratch);

}  // namespace spolia::codec
